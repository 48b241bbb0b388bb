"""BitDelta (Liu et al., NeurIPS 2024): one bit a weight and one scale a matrix, or a row.

    dW ~ a * sign(dW), a = mean |dW|          the a that minimises ||dW - a sign(dW)||_F

A second pass does the same to what is left, and so on: each costs another bit a weight. With one scale a row (the
per-axis variant) a is the mean of each row. The sign of 0 is +1.
"""

from dataclasses import dataclass, replace

import torch

from lib.delta_come.errors import DeltaError

_SCALE_BITS = 16


@dataclass(frozen=True)
class SignMatrix:
    """Signs and scales of one matrix.

    Attributes:
        name: The weight's name.
        signs: One int8 [m, n] of +1 and -1 a pass; stored as one bit each.
        scales: fp16, [1, 1] or [m, 1], one a pass.
    """

    name: str
    signs: tuple[torch.Tensor, ...]
    scales: tuple[torch.Tensor, ...]

    @property
    def shape(self) -> tuple[int, int]:
        """(m, n), outputs and inputs."""
        return tuple(self.signs[0].shape)

    @property
    def true_bytes(self) -> int:
        """One bit a sign, 16 a scale."""
        m, n = self.shape
        return (len(self.signs) * m * n + sum(_SCALE_BITS * scale.numel() for scale in self.scales) + 7) // 8

    def delta(self) -> torch.Tensor:
        """Return the sum of scale * sign over the passes, float32 [m, n]."""
        return sum(scale.float() * signs.float() for scale, signs in zip(self.scales, self.signs, strict=True))

    def with_scales(self, scales: tuple[torch.Tensor, ...]) -> "SignMatrix":
        """Return the same signs with other scales, rounded to fp16."""
        return replace(self, scales=tuple(scale.detach().half() for scale in scales))

    def __repr__(self) -> str:
        return f"SignMatrix({self.name}, {len(self.signs)} passes, {self.true_bytes} bytes)"


def sign_passes(name: str, delta: torch.Tensor, passes: int = 1, rows: bool = False) -> SignMatrix:
    """Return the signs and scales of a delta.

    Args:
        name: The weight's name.
        delta: dW, [m, n].
        passes: How many.
        rows: One scale a row instead of one a matrix.
    """
    left, signs, scales = delta.float(), [], []
    for _ in range(passes):
        sign = torch.where(left < 0, -1, 1).to(torch.int8)
        size = left.abs()
        scale = (size.mean(1, keepdim=True) if rows else size.mean().reshape(1, 1)).half()
        left = left - scale.float() * sign
        signs.append(sign)
        scales.append(scale)
    return SignMatrix(name, tuple(signs), tuple(scales))


def affordable_passes(m: int, n: int, bits: int, rows: bool = False, name: str = "the matrix") -> int:
    """Return how many passes over an m x n matrix fit into so many bits.

    Raises:
        DeltaError: Not even one.
    """
    one = m * n + _SCALE_BITS * (m if rows else 1)
    if bits < one:
        raise DeltaError(
            f"one bit a weight of {name} ({m} x {n}) takes {one} bits with its scales and the budget is {bits}; take a "
            "larger ratio"
        )
    return bits // one
