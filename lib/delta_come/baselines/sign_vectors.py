"""Singular vectors at one bit: the width that the paper's sweep of single precisions ends with (section 3.3).

    u_i v_i^T ~ (mean |u_i| mean |v_i|) sign(u_i) sign(v_i)^T

The two scales of a direction are folded into its singular value, so a rank takes m + n + 16 bits.
"""

from dataclasses import dataclass

import torch

from lib.delta_come.errors import DeltaError
from lib.delta_come.spectrum import decompose

_VALUE_BITS = 16


@dataclass(frozen=True)
class SignVectors:
    """Signs of singular vectors.

    Attributes:
        name: The weight's name.
        U: int8 [m, r] of +1 and -1, stored as one bit each.
        V: int8 [r, n], as U.
        values: Singular values times both scales, fp16 [r].
    """

    name: str
    U: torch.Tensor
    V: torch.Tensor
    values: torch.Tensor

    @property
    def shape(self) -> tuple[int, int]:
        """(m, n), outputs and inputs."""
        return self.U.shape[0], self.V.shape[1]

    @property
    def true_bytes(self) -> int:
        """One bit a sign, 16 a value."""
        return (self.U.numel() + self.V.numel() + _VALUE_BITS * self.values.numel() + 7) // 8

    def delta(self) -> torch.Tensor:
        """Return the sum over all directions, float32 [m, n]."""
        return (self.U.float() * self.values.float()) @ self.V.float()


def sign_vectors(name: str, delta: torch.Tensor, bits: int) -> SignVectors:
    """Return as many directions at one bit as a budget allows.

    Raises:
        DeltaError: It allows none.
    """
    m, n = delta.shape
    ranks = min(m, n, bits // (m + n + _VALUE_BITS))
    if ranks < 1:
        raise DeltaError(
            f"one direction of {name} ({m} x {n}) at one bit takes {m + n + _VALUE_BITS} bits and the budget is "
            f"{bits}; take a larger ratio"
        )
    found = decompose(delta, ranks)
    scales = found.U.abs().mean(0) * found.V.abs().mean(1)
    U, V = (torch.where(vectors < 0, -1, 1).to(torch.int8) for vectors in (found.U, found.V))
    return SignVectors(name, U, V, (found.singular_values * scales).half())
