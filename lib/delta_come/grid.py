"""The grid that codes stand on: k bits, one scale and one zero point for every row and group of columns.

    lo = min(0, min w), hi = max(0, max w), scale = (hi - lo) / (2^k - 1), zero = round(-lo / scale)
    code = clip(round(w / scale) + zero, 0, 2^k - 1), value = scale * (code - zero)

The range of a row of zeros is [-1, 1]. Scales are rounded to fp16, as they are stored, before a code is chosen. The
value 0 is always on the grid. A symmetric grid has lo = -hi and the fixed zero point 2^(k - 1).

Min-max ranges serve the largest value of a group: of 128 normal values at 2 bits they lose 25 % of the energy. With
`clip` the range is shrunk by the factor, of 25 tried, with the least squared error, which loses 14 %.
"""

from dataclasses import dataclass

import torch

from lib.delta_come.factors import QuantisedMatrix

_SHRINKS = tuple(1 - 0.025 * step for step in range(25))  # 1 ... 0.4
_SMALLEST = 2.0**-24  # fp16's smallest number above 0
_AT_ONCE = 1 << 20  # values of all tried ranges together


@dataclass(frozen=True)
class GridOptions:
    """Which grids are fitted.

    Attributes:
        group_size: Columns that share a scale.
        symmetric: Zero point in the middle, not stored.
        clip: Shrink ranges where that lowers the squared error.
    """

    group_size: int = 128
    symmetric: bool = False
    clip: bool = False


@dataclass(frozen=True)
class Grid:
    """The grids of some rows; all tensors float32, [rows] or broadcast to it.

    Attributes:
        scale: A number that fp16 holds.
        zero: Code of the value 0.
        top: The largest code, 2^k - 1.
    """

    scale: torch.Tensor
    zero: torch.Tensor
    top: torch.Tensor

    def codes(self, values: torch.Tensor) -> torch.Tensor:
        """Return the nearest codes of values [..., rows], float32."""
        codes = values.div(self.scale).round_().add_(self.zero).clamp_min_(0)
        return torch.minimum(codes, self.top, out=codes)

    def values(self, codes: torch.Tensor) -> torch.Tensor:
        """Return scale * (code - zero)."""
        return (codes - self.zero).mul_(self.scale)


def fit_grid(values: torch.Tensor, top: torch.Tensor, options: GridOptions = GridOptions()) -> Grid:
    """Return the grids of rows, over one group of columns.

    Args:
        values: float32 [columns, rows]: a column of this tensor is a row of the matrix.
        top: Largest code of every row, float32 [rows].
        options: See `GridOptions`; the group size does not matter here.
    """
    lo, hi = values.amin(0).clamp_max_(0), values.amax(0).clamp_min_(0)
    if options.symmetric:
        hi = torch.maximum(-lo, hi)
        lo = -hi
    empty = hi == lo
    lo, hi = torch.where(empty, -1.0, lo), torch.where(empty, 1.0, hi)
    grid = _grid(lo, hi, top, options.symmetric)
    return _clipped(values, lo, hi, top, options.symmetric) if options.clip else grid


def round_to_nearest(weight: torch.Tensor, bits: int, options: GridOptions = GridOptions()) -> QuantisedMatrix:
    """Return a matrix on its own grids, each value on its nearest point: RTN, without data.

    Args:
        weight: [rows, columns], computed in float32.
        bits: 2, 3, 4 or 8.
        options: See `GridOptions`.
    """
    columns = weight.float().T.contiguous()
    top = torch.full((weight.shape[0],), 2.0**bits - 1, device=weight.device)
    codes, scales, zeros = [], [], []
    for group in columns.split(options.group_size):
        grid = fit_grid(group, top, options)
        codes.append(grid.codes(group).to(torch.uint8))
        scales.append(grid.scale)
        zeros.append(grid.zero)
    return quantised(torch.cat(codes), bits, torch.stack(scales), torch.stack(zeros), options)


def quantised(
    codes: torch.Tensor,
    bits: int,
    scales: torch.Tensor,
    zeros: torch.Tensor,
    options: GridOptions,
    permutation: torch.Tensor | None = None,
) -> QuantisedMatrix:
    """Return a QuantisedMatrix from transposed parts: codes [columns, rows], scales and zeros [groups, rows]."""
    return QuantisedMatrix(
        codes=codes.to(torch.uint8).T.contiguous(),
        bits=bits,
        scales=scales.half().T.contiguous(),
        zeros=zeros.to(torch.uint8).T.contiguous(),
        group_size=options.group_size,
        permutation=permutation,
        symmetric=options.symmetric,
    )


def _grid(lo: torch.Tensor, hi: torch.Tensor, top: torch.Tensor, symmetric: bool) -> Grid:
    scale = ((hi - lo) / top).half().float().clamp_min_(_SMALLEST)
    if symmetric:
        return Grid(scale, (top + 1) / 2, top)
    # The fp16 scale may be a little small, so that the zero point would be past the largest code.
    return Grid(scale, torch.minimum((-lo / scale).round_(), top), top)


def _clipped(values: torch.Tensor, lo: torch.Tensor, hi: torch.Tensor, top: torch.Tensor, symmetric: bool) -> Grid:
    """Return, for each row, the grid of the shrunk range with the least squared error."""
    shrinks = torch.tensor(_SHRINKS, device=values.device)[:, None, None]  # [tried, 1, rows]
    best = None
    for part in shrinks.split(max(1, _AT_ONCE // values.numel())):
        grid = _grid(part * lo, part * hi, top, symmetric)
        errors = (grid.values(grid.codes(values[None])) - values).square_().sum(1)  # [tried, rows]
        error, at = errors.min(0)
        row = torch.arange(lo.numel(), device=lo.device)
        scale, zero = grid.scale[at, 0, row], grid.zero.expand(len(part), 1, -1)[at, 0, row]
        if best is None:
            best, least = (scale, zero), error
        else:
            better = error < least
            best = torch.where(better, scale, best[0]), torch.where(better, zero, best[1])
            least = torch.minimum(error, least)
    return Grid(*best, top)
