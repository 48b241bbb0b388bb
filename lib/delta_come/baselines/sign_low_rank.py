"""Sign and a low-rank residual (D-QReLO, Findings of ACL 2026): the bulk by one bit a weight, the rest by directions.

    dW ~ a sign(dW) + B A,   B A of the largest singular directions of dW - a sign(dW), fp16

Sign before SVD, not after: the directions then mend what the signs miss. It takes more than one bit a weight, so there
is none at 1/16.
"""

from dataclasses import dataclass

import torch

from lib.delta_come.baselines.low_rank import LowRankMatrix, low_rank
from lib.delta_come.baselines.signs import SignMatrix, sign_passes


@dataclass(frozen=True)
class SignLowRankMatrix:
    """Signs with fp16 directions of what they miss.

    Attributes:
        signs: One bit a weight and one scale.
        residual: Of what is left.
    """

    signs: SignMatrix
    residual: LowRankMatrix

    @property
    def name(self) -> str:
        """The weight's name."""
        return self.signs.name

    @property
    def shape(self) -> tuple[int, int]:
        """(m, n), outputs and inputs."""
        return self.signs.shape

    @property
    def true_bytes(self) -> int:
        """Of both parts."""
        return self.signs.true_bytes + self.residual.true_bytes

    def delta(self) -> torch.Tensor:
        """Return the sum of both parts, float32 [m, n]."""
        return self.signs.delta() + self.residual.delta()


def sign_and_low_rank(name: str, delta: torch.Tensor, ranks: int) -> SignLowRankMatrix:
    """Return signs and so many directions of what they miss, for a delta [m, n]."""
    signs = sign_passes(name, delta)
    return SignLowRankMatrix(signs, low_rank(name, delta - signs.delta(), ranks))
