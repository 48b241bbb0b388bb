"""What else could be stored in place of a weight matrix: the alternatives to SVID, each with its bits a weight.

All keep W's shape [m, n] and are judged by the same relative squared Frobenius error. Stored vectors and scalars count
16 bits a number. "Row" is an output, "column" an input.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lib.onebit.svid import sign, svid

if TYPE_CHECKING:
    import torch

# Step of the best uniform 4-level quantiser of a standard normal, in standard deviations (Max 1960, table II).
_GAUSSIAN_STEP = 0.9957


@dataclass(frozen=True)
class Approximation:
    """One way to store a matrix in few bits.

    Attributes:
        name: Short name, used in records.
        label: What it is, for tables and figures.
        bits: (m, n) -> stored bits of an m x n matrix, divided by m n.
        approximate: W [m, n] -> W' [m, n].
    """

    name: str
    label: str
    bits: Callable[[int, int], float]
    approximate: "Callable[[torch.Tensor], torch.Tensor]"


def sign_scalar(weight: "torch.Tensor") -> "torch.Tensor":
    """Return sign(W) * mean(|W|): the best single scale."""
    return sign(weight) * weight.abs().mean()


def bitnet_centred(weight: "torch.Tensor") -> "torch.Tensor":
    """Return sign(W - mean(W)) * mean(|W - mean(W)|): BitNet's weights as the paper gives them (Eq. 2)."""
    return sign_scalar(weight - weight.mean())


def sign_row_mean(weight: "torch.Tensor") -> "torch.Tensor":
    """Return sign(W) with one scale a row: the row's mean magnitude."""
    return sign(weight) * weight.abs().mean(dim=1, keepdim=True)


def sign_column_mean(weight: "torch.Tensor") -> "torch.Tensor":
    """Return sign(W) with one scale a column: the column's mean magnitude."""
    return sign(weight) * weight.abs().mean(dim=0)


def sign_row_times_column(weight: "torch.Tensor") -> "torch.Tensor":
    """Return sign(W) * row mean * column mean / mean: rank-1 magnitudes without an iteration."""
    magnitude = weight.abs()
    mean = magnitude.mean()
    return sign(weight) * magnitude.mean(dim=1, keepdim=True) * (magnitude.mean(dim=0) / mean.clamp(min=1e-30))


def sign_rank_one(weight: "torch.Tensor") -> "torch.Tensor":
    """Return SVID's sign(W) * h g^T."""
    return svid(weight).reconstruct()


def rank_one(weight: "torch.Tensor") -> "torch.Tensor":
    """Return the best rank-1 approximation of W itself: the right side of Proposition 2."""
    import torch

    matrix = weight.double()
    wide = matrix.shape[0] <= matrix.shape[1]
    gram = matrix @ matrix.T if wide else matrix.T @ matrix
    top = torch.linalg.eigh(gram).eigenvectors[:, -1]
    projected = torch.outer(top, top @ matrix) if wide else torch.outer(matrix @ top, top)
    return projected.to(weight.dtype)


def two_bit_asymmetric(weight: "torch.Tensor") -> "torch.Tensor":
    """Return round-to-nearest on four even levels between each row's minimum and maximum."""
    low, high = weight.aminmax(dim=1, keepdim=True)
    step = ((high - low) / 3).clamp(min=1e-30)
    return ((weight - low) / step).round() * step + low


def two_bit_symmetric(weight: "torch.Tensor") -> "torch.Tensor":
    """Return round-to-nearest on -1, 0, +1 times each row's largest magnitude: the fourth code stays unused."""
    largest = weight.abs().amax(dim=1, keepdim=True).clamp(min=1e-30)
    return (weight / largest).round() * largest


def two_bit_fitted(weight: "torch.Tensor") -> "torch.Tensor":
    """Return four even levels a row at -1.5, -0.5, 0.5, 1.5 steps, the step fitted to the row's root mean square.

    Outliers are clipped, which min-max rounding cannot do: with the step that is best for normal weights this is close
    to what clipping-aware two-bit methods reach before any training.
    """
    step = weight.square().mean(dim=1, keepdim=True).sqrt() * _GAUSSIAN_STEP  # 0 in an all-zero row, which stays zero
    return ((weight / step.clamp(min=1e-30)).floor().clamp(-2, 1) + 0.5) * step


# In the order in which tables show them: one bit, no bits, two bits.
APPROXIMATIONS: tuple[Approximation, ...] = (
    Approximation("sign_scalar", "sign × one scalar", lambda m, n: 1 + 16 / (m * n), sign_scalar),
    Approximation("bitnet_centred", "centred sign × one scalar", lambda m, n: 1 + 16 / (m * n), bitnet_centred),
    Approximation("sign_column_mean", "sign × column mean", lambda m, n: 1 + 16 / m, sign_column_mean),
    Approximation("sign_row_mean", "sign × row mean", lambda m, n: 1 + 16 / n, sign_row_mean),
    Approximation(
        "sign_row_times_column",
        "sign × row mean × column mean",
        lambda m, n: 1 + 16 / m + 16 / n,
        sign_row_times_column,
    ),
    Approximation("svid", "SVID", lambda m, n: 1 + 16 / m + 16 / n, sign_rank_one),
    Approximation("rank_one", "rank-1 SVD of W itself", lambda m, n: 16 / m + 16 / n, rank_one),
    Approximation("two_bit_asymmetric", "2-bit min-max, asymmetric", lambda m, n: 2 + 32 / n, two_bit_asymmetric),
    Approximation("two_bit_symmetric", "2-bit min-max, symmetric", lambda m, n: 2 + 16 / n, two_bit_symmetric),
    Approximation("two_bit_fitted", "2-bit, step fitted to the row", lambda m, n: 2 + 16 / n, two_bit_fitted),
)
