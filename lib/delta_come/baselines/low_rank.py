"""fp16 low rank: the singular directions that the bytes pay for, as two factors.

    dW ~ B A,   B = U diag(s)^(1/2) [m, r],  A = diag(s)^(1/2) V^T [r, n],   16 (m + n) bits a rank

Ranks are whole, and on a small matrix a budget may pay for 5.9 of them. So bytes are counted over the whole model: each
matrix gets its whole ranks, and what is left over goes, a rank each, to the matrices that lost the largest part of one.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

from lib.delta_come.errors import DeltaError
from lib.delta_come.spectrum import decompose

_WIDTH = 16


@dataclass(frozen=True)
class LowRankMatrix:
    """Two factors of one matrix.

    Attributes:
        name: The weight's name.
        B: fp16 [m, r].
        A: fp16 [r, n].
    """

    name: str
    B: torch.Tensor
    A: torch.Tensor

    @property
    def shape(self) -> tuple[int, int]:
        """(m, n), outputs and inputs."""
        return self.B.shape[0], self.A.shape[1]

    @property
    def true_bytes(self) -> int:
        """16 bits a value."""
        return _WIDTH * (self.B.numel() + self.A.numel()) // 8

    def delta(self) -> torch.Tensor:
        """Return B A, float32 [m, n]."""
        return self.B.float() @ self.A.float()

    def __repr__(self) -> str:
        return f"LowRankMatrix({self.name}, rank {len(self.A)}, {self.true_bytes} bytes)"


def low_rank(name: str, delta: torch.Tensor, ranks: int) -> LowRankMatrix:
    """Return the largest singular directions of a matrix [m, n] in fp16."""
    found = decompose(delta, ranks)
    root = found.singular_values.sqrt()
    return LowRankMatrix(name, (found.U * root).half(), (found.V * root[:, None]).half())


def affordable_ranks(
    shapes: Mapping[str, tuple[int, int]], bits: Callable[[int, int], int], what: str = "low rank"
) -> dict[str, int]:
    """Return the ranks of every matrix, so that all together take no more than their budgets' sum.

    Args:
        shapes: (m, n) by the weight's name.
        bits: (m, n) -> budget of a matrix.
        what: What error messages call it.

    Raises:
        DeltaError: The sum does not pay for a rank of each matrix.
    """
    costs = {name: _WIDTH * (m + n) for name, (m, n) in shapes.items()}
    wanted = {name: bits(*shape) / costs[name] for name, shape in shapes.items()}
    ranks = {name: min(*shapes[name], max(1, int(share))) for name, share in wanted.items()}
    left = sum(bits(*shape) for shape in shapes.values()) - sum(costs[name] * ranks[name] for name in ranks)
    if left < 0:
        raise DeltaError(
            f"{what} at fp16 takes at least a rank of every matrix, {sum(costs.values()) // 8} bytes, which the "
            "budget does not pay for; take a larger ratio"
        )
    for name in sorted(ranks, key=lambda name: ranks[name] - wanted[name]):
        if costs[name] <= left and ranks[name] < min(shapes[name]):
            ranks[name] += 1
            left -= costs[name]
    return ranks
