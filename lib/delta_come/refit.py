"""Fitting U again after V is quantised: the directions that V lost or mixed are made up for on the other side.

Given V'^T [R, n] of all groups, the U that serves the outputs best is no longer that of the SVD but the least-squares
solution of min_U ||dW X - U V'^T X||_F^2, U = dW H V' (V'^T H V')^-1. The groups are settled one after the other, most
bits first: each is fitted together with those still to come, given what the settled ones became.
"""

from collections.abc import Sequence

import torch

from lib.delta_come.errors import DeltaError
from lib.delta_come.spectrum import Decomposition

# The correction is held back by this share of each direction's own energy: calibration inputs are a sample.
_RIDGE = 0.01


class Refit:
    """The least-squares U of one matrix, group by group.

    Args:
        delta: dW, [m, n].
        groups: Each group's directions with its V'^T [r, n].
        hessian: H of the inputs, [n, n].

    Raises:
        DeltaError: There is no Hessian.
    """

    def __init__(
        self,
        delta: torch.Tensor,
        groups: Sequence[tuple[Decomposition, torch.Tensor]],
        hessian: torch.Tensor | None,
    ) -> None:
        if hessian is None:
            raise DeltaError("resolve_u needs calibration text: give token blocks, or leave it off")
        self._hessian = hessian
        self._starts = [sum(group.ranks for group, _ in groups[:number]) for number in range(len(groups) + 1)]
        self._V = torch.cat([V for _, V in groups]) if groups else delta.new_zeros(0, delta.shape[1])
        self._gram = (self._V @ hessian @ self._V.T).double()  # [R, R]
        # What is not yet explained, seen through V', and the scaled U that explains it so far.
        self._wanted = (delta @ hessian @ self._V.T).double()  # [m, R]
        scaled = [group.U * group.singular_values for group, _ in groups]
        self._scaled = torch.cat(scaled, 1).double() if groups else self._wanted

    def directions(self, number: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return U with columns of norm 1, and the norms, of one group, given those settled before it."""
        start, end = self._starts[number], self._starts[number + 1]
        gram = self._gram[start:, start:]
        ridge = gram + torch.diag(_RIDGE * gram.diagonal().clamp_min(1e-30))
        missed = self._wanted[:, start:] - self._scaled[:, start:] @ gram
        correction = torch.cholesky_solve(missed.T, torch.linalg.cholesky(ridge)).T
        scaled = (self._scaled[:, start:] + correction)[:, : end - start]
        norms = scaled.norm(dim=0).clamp_min(1e-30)
        return (scaled / norms).float(), norms.float()

    def settle(self, number: int, scaled: torch.Tensor, V: torch.Tensor) -> None:
        """Take a group as it became.

        Args:
            number: The group.
            scaled: U' diag(s), [m, r].
            V: V'^T [r, n], its ranks in the order of U's.
        """
        seen = (V @ self._hessian @ self._V.T).double()  # [r, R]
        self._wanted = self._wanted - scaled.double() @ seen
