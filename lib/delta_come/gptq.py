"""GPTQ (Frantar et al., ICLR 2023) as Delta-CoMe uses it: grids for groups of columns, largest inputs first.

Codes minimise ||W X - W' X||^2. Columns are rounded one after the other; the error of column j, divided by F_jj, is
subtracted times F_j: from the columns after it, where F is the upper Cholesky factor of H^-1 and H = 2 / N X X^T.
Corrections reach the columns of the same chunk of 128 at once and all later ones by one product a chunk.

Several matrices with the same inputs (q, k and v; every bit group of each) are rows of one run: `gptq` takes a list.

With act-order, columns run by decreasing H_jj. A group is then `group_size` columns in running order, its grid fitted
to the weights as corrected so far, and the matrix carries its permutation. With static groups a group is neighbouring
columns in natural order, its grid fitted to W beforehand: no permutation remains.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from lib.delta_come.errors import DeltaError
from lib.delta_come.factors import QuantisedMatrix
from lib.delta_come.grid import Grid, GridOptions, fit_grid, quantised

_CHUNK = 128  # columns whose corrections are applied to the rest in one product


@dataclass(frozen=True)
class PreparedHessian:
    """A Hessian ready for any number of matrices with these inputs.

    Attributes:
        order: Columns in running order, int64 [n].
        factor: F, upper triangular with F^T F = H^-1, in running order, float32 [n, n].
        dead: Inputs that are always 0, bool [n], in natural order.
        permuted: Whether the order is another than the natural one.
    """

    order: torch.Tensor
    factor: torch.Tensor
    dead: torch.Tensor
    permuted: bool


def prepare(
    hessian: torch.Tensor, act_order: bool = True, damping: float = 0.01, name: str = "the matrix"
) -> PreparedHessian:
    """Return a Hessian's factor: dead inputs set apart, damped, ordered, inverted.

    Args:
        hessian: H, [n, n], up to a factor.
        act_order: Columns with the largest H_jj first, instead of from left to right.
        damping: Share of the mean of H's diagonal that is added to it.
        name: What error messages call the matrix.

    Raises:
        DeltaError: H is not positive definite even with damping, or holds NaN or infinity.
    """
    if not hessian.isfinite().all():
        raise DeltaError(
            f"the Hessian of {name} holds NaN or infinity: calibration inputs overflow on their way there; look for "
            "weights of the fine-tune that are far too large"
        )
    H = hessian.double().clone()
    diagonal = H.diagonal()
    dead = diagonal == 0
    # GPTQ's own code puts 1 here, which for small inputs is so much that damping by the mean drowns all others.
    diagonal[dead] = 1 if dead.all() else diagonal[~dead].mean()
    order = diagonal.argsort(descending=True, stable=True) if act_order else torch.arange(len(H), device=H.device)
    diagonal.add_(damping * diagonal.mean())
    # H = R R^T with R upper triangular is a Cholesky factor read backwards, and R^-1 is F: one factor, one inverse.
    backwards = order.flip(0)
    L, failed = torch.linalg.cholesky_ex(H[backwards][:, backwards])
    if failed or not L.isfinite().all():
        raise DeltaError(
            f"the Hessian of {name} is not positive definite with damping {damping:g}: take more calibration tokens, "
            "or more damping"
        )
    identity = torch.eye(len(H), dtype=H.dtype, device=H.device)
    inverse = torch.linalg.solve_triangular(L, identity, upper=False)
    return PreparedHessian(order, inverse.flip(0, 1).float().contiguous(), dead, act_order)


def gptq(
    parts: Sequence[tuple[torch.Tensor, int]],
    hessian: PreparedHessian,
    options: GridOptions = GridOptions(),
    static_groups: bool = False,
    column_grids: bool = False,
) -> list[QuantisedMatrix]:
    """Return matrices on grids that keep their outputs, in the order given.

    Args:
        parts: Matrices [rows, n] with their bits (2 to 8).
        hessian: Of their common inputs.
        options: The grids.
        static_groups: Groups are neighbouring columns in natural order, with grids fitted beforehand.
        column_grids: One grid for each column instead of one for each row and group: the result has scales [1, n] and
            group size 1. Only for a single part.

    Raises:
        DeltaError: A matrix has another number of columns than the Hessian.
    """
    for weight, _ in parts:
        if weight.shape[1] != len(hessian.order):
            raise DeltaError(
                f"a matrix {' x '.join(map(str, weight.shape))} needs a Hessian of its {weight.shape[1]} inputs, "
                f"got one of {len(hessian.order)}"
            )
    top = torch.cat([torch.full((len(weight),), 2.0**bits - 1, device=weight.device) for weight, bits in parts])
    columns = torch.cat([weight for weight, _ in parts]).float().T.contiguous()  # [n, rows]: a column is contiguous
    columns[hessian.dead] = 0
    if column_grids:
        run = _run_column_grids(columns, hessian, top, options)
    elif static_groups:
        run = _run_static(columns, hessian, top, options)
    else:
        run = _run_dynamic(columns, hessian, top, options)
    return _split(parts, run, options)


@dataclass(frozen=True)
class _Run:
    """Codes [n, rows] with scales and zeros [groups, rows]; the order is None where codes are in natural order."""

    codes: torch.Tensor
    scales: torch.Tensor
    zeros: torch.Tensor
    order: torch.Tensor | None
    group_size: int


def _run_dynamic(columns: torch.Tensor, hessian: PreparedHessian, top: torch.Tensor, options: GridOptions) -> _Run:
    columns, codes, grids = columns[hessian.order], torch.empty_like(columns), []
    for start in range(0, len(columns), options.group_size):
        end = min(start + options.group_size, len(columns))
        grid = fit_grid(columns[start:end], top, options)
        grids.append(grid)
        for first in range(start, end, _CHUNK):
            _quantise_chunk(columns, hessian.factor, first, min(first + _CHUNK, end), [grid] * _CHUNK, codes)
    return _Run(codes, *_stacked(grids), hessian.order if hessian.permuted else None, options.group_size)


def _run_static(columns: torch.Tensor, hessian: PreparedHessian, top: torch.Tensor, options: GridOptions) -> _Run:
    grids = [fit_grid(group, top, options) for group in columns.split(options.group_size)]
    columns, codes = columns[hessian.order], torch.empty_like(columns)
    group_of = (hessian.order // options.group_size).tolist()
    for first in range(0, len(columns), _CHUNK):
        last = min(first + _CHUNK, len(columns))
        own = [grids[group] for group in group_of[first:last]]
        _quantise_chunk(columns, hessian.factor, first, last, own, codes)
    return _Run(_natural(codes, hessian.order), *_stacked(grids), None, options.group_size)


def _run_column_grids(columns: torch.Tensor, hessian: PreparedHessian, top: torch.Tensor, options: GridOptions) -> _Run:
    """One grid a column, fitted beforehand: errors that reach a column hardly change its range."""
    grids = _of_columns(columns, top[:1], options)
    columns, codes = columns[hessian.order], torch.empty_like(columns)
    own = [grids[j] for j in hessian.order.tolist()]
    for first in range(0, len(columns), _CHUNK):
        last = min(first + _CHUNK, len(columns))
        _quantise_chunk(columns, hessian.factor, first, last, own[first:last], codes)
    return _Run(_natural(codes, hessian.order), *_stacked(grids), None, 1)


def _of_columns(columns: torch.Tensor, top: torch.Tensor, options: GridOptions) -> list[Grid]:
    whole = fit_grid(columns.T.contiguous(), top.expand(len(columns)), options)
    zeros = whole.zero.expand(len(columns))
    return [Grid(whole.scale[j : j + 1], zeros[j : j + 1], top) for j in range(len(columns))]


def _quantise_chunk(
    columns: torch.Tensor, factor: torch.Tensor, first: int, last: int, grids: list[Grid], codes: torch.Tensor
) -> None:
    """Quantise neighbouring columns, each correcting the later ones of the chunk, then correct all that follow."""
    chunk, block = columns[first:last], factor[first:last, first:last]
    errors = torch.empty_like(chunk)
    pivots = block.diagonal().tolist()
    for j, (grid, pivot) in enumerate(zip(grids, pivots, strict=False)):
        column = chunk[j]
        codes[first + j] = code = grid.codes(column)
        error = torch.sub(column, grid.values(code), out=errors[j]).div_(pivot)
        chunk[j + 1 :].addr_(block[j, j + 1 :], error, alpha=-1)
    columns[last:].addmm_(factor[first:last, last:].T, errors, alpha=-1)


def _natural(codes: torch.Tensor, order: torch.Tensor) -> torch.Tensor:
    return torch.empty_like(codes).index_copy_(0, order, codes)


def _stacked(grids: list[Grid]) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.stack([grid.scale for grid in grids]), torch.stack([grid.zero for grid in grids])


def _split(parts: Sequence[tuple[torch.Tensor, int]], run: _Run, options: GridOptions) -> list[QuantisedMatrix]:
    """Cut one run into the matrices that it was made of."""
    order = None if run.order is None else run.order.int()
    options = GridOptions(run.group_size, options.symmetric, options.clip)
    matrices, row = [], 0
    for weight, bits in parts:
        # Column grids have a single row of scales, which belongs to all rows.
        rows = slice(row, row + len(weight))
        own = slice(None) if run.scales.shape[1] == 1 else rows
        matrices.append(quantised(run.codes[:, rows], bits, run.scales[:, own], run.zeros[:, own], options, order))
        row += len(weight)
    return matrices
