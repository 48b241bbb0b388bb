"""GPTQ (Frantar et al., ICLR 2023) for one matrix: round column by column, let the columns to come make up for it.

The layer's squared error over calibration inputs X [tokens, n] is tr((W - W') H (W - W')^T) with H = X^T X. Columns are
rounded one after the other; the error of column j, divided by U_jj, is subtracted times U_j: from the columns after it,
where U is the upper Cholesky factor of H^-1. The grid of a row is fixed beforehand; there are no groups.
"""

from collections.abc import Callable

import torch

from lib.onebit.baselines.grids import row_grid

# Columns whose corrections are applied to the rest of the matrix in one product.
_AT_ONCE = 128

Nearest = Callable[[torch.Tensor, int], torch.Tensor]


def gptq(
    weight: torch.Tensor,
    hessian: torch.Tensor,
    bits: int,
    *,
    symmetric: bool = False,
    act_order: bool = False,
    damping: float = 0.01,
    name: str = "weight",
) -> torch.Tensor:
    """Return a matrix on its rows' grids that keeps the layer's outputs, [m, n], in the dtype of W.

    Args:
        weight: W, [m, n].
        hessian: H = X^T X over the calibration inputs, [n, n], up to a factor; inputs that are always 0 are allowed.
        bits: Bits a code.
        symmetric: Kind of grid.
        act_order: Columns with the largest H_jj first, instead of from left to right.
        damping: Share of the mean of H's diagonal that is added to it.
        name: What error messages call the matrix.

    Raises:
        ValueError: The shapes do not fit, H is not finite, or it is not positive definite even with damping.
    """
    grid = row_grid(weight.double(), bits, symmetric)
    return compensate(
        weight, hessian, lambda column, _j: grid.nearest(column), act_order=act_order, damping=damping, name=name
    )


def compensate(
    weight: torch.Tensor,
    hessian: torch.Tensor,
    nearest: Nearest,
    *,
    act_order: bool = False,
    damping: float = 0.01,
    name: str = "weight",
) -> torch.Tensor:
    """Return a matrix of values that `nearest` gives, [m, n], each column's error made up for by the columns after it.

    Args:
        weight: W, [m, n].
        hessian: As for `gptq`.
        nearest: From a column [m, 1] of what is to be rounded, float64, and its place to its rounded values [m, 1].
        act_order: As for `gptq`.
        damping: As for `gptq`.
        name: As for `gptq`.

    Raises:
        ValueError: As `gptq`.
    """
    m, n = weight.shape
    if hessian.shape != (n, n):
        raise ValueError(f"{name} is {m} x {n} and needs a Hessian [{n}, {n}], got {list(hessian.shape)}")
    if not hessian.isfinite().all():
        raise ValueError(
            f"the Hessian of {name} holds NaN or infinity, so the layer's inputs on the calibration text do; look "
            "for a broken weight before that layer, or run the model in fp32"
        )
    H, W = hessian.double().clone(), weight.double().clone()
    dead = H.diagonal() == 0
    H.diagonal()[dead] = 1
    W[:, dead] = 0  # an input that is always 0 carries nothing
    order = H.diagonal().argsort(descending=True) if act_order else torch.arange(n, device=W.device)
    H.diagonal().add_(damping * H.diagonal().mean())
    U = _upper_factor_of_inverse(H[order][:, order], name)
    W, places = W[:, order], order.tolist()
    for first in range(0, n, _AT_ONCE):
        last = min(first + _AT_ONCE, n)
        errors = torch.zeros(m, last - first, dtype=W.dtype, device=W.device)
        for j in range(first, last):
            rounded = nearest(W[:, j : j + 1], places[j])
            errors[:, j - first] = (W[:, j] - rounded[:, 0]) / U[j, j]
            W[:, j:last] -= torch.outer(errors[:, j - first], U[j, j:last])
            W[:, j] = rounded[:, 0]
        W[:, last:] -= errors @ U[first:last, last:]
    return W[:, order.argsort()].to(weight.dtype)


def _upper_factor_of_inverse(H: torch.Tensor, name: str) -> torch.Tensor:
    """Return U with U^T U = H^-1."""
    L, failed = torch.linalg.cholesky_ex(H)
    if failed:
        raise ValueError(
            f"the Hessian of {name} is not positive definite; take more calibration tokens than inputs, or more damping"
        )
    return torch.linalg.cholesky(torch.cholesky_inverse(L), upper=True)
