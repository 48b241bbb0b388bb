"""Matrices that are harder on the propositions than trained weights: heavy tails, dead rows, no negative entry."""

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def random_matrix(kind: str, shape: tuple[int, int], seed: int) -> "torch.Tensor":
    """Return a float64 matrix [m, n] of one of the KINDS; the same seed gives the same matrix.

    Raises:
        ValueError: There is no such kind.
    """
    import torch

    if kind not in _MAKERS:
        raise ValueError(f"there is no kind {kind!r} of matrix; choose one of {', '.join(KINDS)}")
    return _MAKERS[kind](shape, torch.Generator().manual_seed(seed))


def _gaussian(shape: tuple[int, int], generator: "torch.Generator") -> "torch.Tensor":
    import torch

    return torch.randn(shape, generator=generator, dtype=torch.float64)


def _heavy_tailed(shape: tuple[int, int], generator: "torch.Generator") -> "torch.Tensor":
    """Cauchy: a ratio of normals, without a variance."""
    return _gaussian(shape, generator) / _gaussian(shape, generator)


def _outlier_columns(shape: tuple[int, int], generator: "torch.Generator") -> "torch.Tensor":
    """Every seventh input has weights fifty times as large."""
    matrix = _gaussian(shape, generator)
    matrix[:, ::7] *= 50
    return matrix


def _low_rank(shape: tuple[int, int], generator: "torch.Generator") -> "torch.Tensor":
    """Rank 2, as weight differences often nearly are."""
    m, n = shape
    return _gaussian((m, 2), generator) @ _gaussian((2, n), generator)


def _rank_one(shape: tuple[int, int], generator: "torch.Generator") -> "torch.Tensor":
    """Rank 1: |W| is of rank 1 too, so SVID is exact and both inequalities are equalities."""
    m, n = shape
    return _gaussian((m, 1), generator) * _gaussian((1, n), generator)


def _not_negative(shape: tuple[int, int], generator: "torch.Generator") -> "torch.Tensor":
    """|W| = W: both inequalities are equalities."""
    return _gaussian(shape, generator).abs()


def _sparse(shape: tuple[int, int], generator: "torch.Generator") -> "torch.Tensor":
    """Nine weights of ten are zero, so whole rows and columns of small matrices are."""
    import torch

    kept = torch.rand(shape, generator=generator, dtype=torch.float64) < 0.1
    return _gaussian(shape, generator) * kept


def _two_blocks(shape: tuple[int, int], generator: "torch.Generator") -> "torch.Tensor":
    """Block-diagonal: |W| falls apart, and its two largest singular values may be close."""
    matrix = _gaussian(shape, generator)
    m, n = shape
    matrix[: m // 2, n // 2 :] = 0
    matrix[m // 2 :, : n // 2] = 0
    return matrix


def _random_signs(shape: tuple[int, int], generator: "torch.Generator") -> "torch.Tensor":
    """All magnitudes 1, signs at random: sign(W) times one scale is exact, and W itself is far from rank 1."""
    return _gaussian(shape, generator).sign()


_MAKERS: "dict[str, Callable[[tuple[int, int], torch.Generator], torch.Tensor]]" = {
    "gaussian": _gaussian,
    "heavy-tailed": _heavy_tailed,
    "outlier columns": _outlier_columns,
    "low rank": _low_rank,
    "rank one": _rank_one,
    "not negative": _not_negative,
    "sparse": _sparse,
    "two blocks": _two_blocks,
    "random signs": _random_signs,
}

KINDS: tuple[str, ...] = tuple(_MAKERS)
