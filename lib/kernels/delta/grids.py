"""Every form of a group as the one that the layouts are made of: codes, a scale and zero a row and 128 columns.

* Scales that all rows of U share are the ranks' own, so s[ρ] takes them, and the zeros come off as one number a token:

    Σ_ρ scale[ρ] (code[m, ρ] − zero[ρ]) s[ρ] v[ρ]  =  Σ_ρ code[m, ρ] r[ρ]  −  Σ_ρ zero[ρ] r[ρ],      r = scale · s · v

* fp16 factors are codes of 16 bits, digits as all others; V's scale is the largest of 128 neighbours, U's of a rank:

    value = scale · (code − 32768) / 32767

  A step is 2^-15 of the largest value beside it, where fp16 has 2^-11 of every value: what is lost is less than fp16
  lost before, but for values under a sixteenth of that largest.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from lib.kernels.delta.packed import GROUP, PackedGroup, PackedMatrix

if TYPE_CHECKING:
    import torch

FIXED_ZERO, FIXED_LARGEST = 1 << 15, (1 << 15) - 1


@dataclass(frozen=True)
class Grids:
    """One group; ranks are in the order of U's codes, inputs in that of V's.

    Attributes:
        bits: Of a code.
        v_codes: uint8, or int32 of 16 bits; [r, n].
        v_scales: fp16 [r, groups].
        v_zeros: uint8 [r, groups]; of 16 bits they count in the highest digit, else in the lowest.
        v_group_size: Inputs a scale.
        u_codes: [m, r].
        u_scales: fp16 [m, groups].
        u_zeros: uint8 [m, groups].
        u_group_size: Ranks a scale.
        singular_values: fp32 [r].
        rank_scales: fp16 [r], in the singular values already; None: U has scales of its rows.
        rank_zeros: fp32 [r]; None as `rank_scales`.
    """

    bits: int
    v_codes: "torch.Tensor"
    v_scales: "torch.Tensor"
    v_zeros: "torch.Tensor"
    v_group_size: int
    u_codes: "torch.Tensor"
    u_scales: "torch.Tensor"
    u_zeros: "torch.Tensor"
    u_group_size: int
    singular_values: "torch.Tensor"
    rank_scales: "torch.Tensor | None" = None
    rank_zeros: "torch.Tensor | None" = None


def of_group(group: PackedGroup, highest: int) -> Grids:
    """Return a group's grids; `highest` is the place value of the highest digit of 16 bits."""
    if group.bits == 16:
        return _of_fp16(group, highest)
    u, v = group.u, group.v
    ranks = slice(None) if u.permutation is None else u.permutation.long()
    found = Grids(
        u.bits, v.codes()[ranks], v.scales[ranks], v.zeros[ranks], v.group_size, u.codes(), u.scales, u.zeros,
        u.group_size, group.singular_values.float()[ranks],
    )  # fmt: skip
    if not u.shared:
        return found
    scales, zeros = (each[0].repeat_interleave(u.group_size)[: u.columns] for each in (u.scales, u.zeros))
    return _with_rank_grid(found, scales, zeros.float())


def to_group(grids: Grids, form: "tuple[int, torch.Tensor | None, torch.Tensor | None, torch.dtype]") -> PackedGroup:
    """Return the group of grids; `form` is U's own group size, both permutations, the type of singular values."""
    import torch

    group_size, u_order, v_order, dtype = form
    if grids.bits == 16:
        scales = grids.v_scales.repeat_interleave(GROUP, 1)[:, : grids.v_codes.shape[1]]
        u, v = _decode(grids.u_codes, grids.rank_scales), _decode(grids.v_codes, scales)
        return PackedGroup(u, v, _without(grids, grids.rank_scales.float() / FIXED_LARGEST**2).to(dtype))
    back = slice(None) if u_order is None else torch.argsort(u_order)
    values, scales, zeros = grids.singular_values, grids.u_scales, grids.u_zeros
    if grids.rank_scales is not None:
        values = _without(grids, grids.rank_scales.float())
        scales, zeros = (each[None, ::group_size] for each in (grids.rank_scales, grids.rank_zeros.to(torch.uint8)))
    u = PackedMatrix.pack(grids.u_codes, grids.bits, scales, zeros, group_size, u_order)
    rows = (each[back] for each in (grids.v_scales, grids.v_zeros))
    v = PackedMatrix.pack(grids.v_codes[back], grids.bits, *rows, grids.v_group_size, v_order)
    return PackedGroup(u, v, values[back].to(dtype))


def _of_fp16(group: PackedGroup, highest: int) -> Grids:
    import torch

    u, v, columns = group.u, group.v, group.v.shape[1]
    v_scales = torch.nn.functional.pad(v, (0, -columns % GROUP)).unflatten(1, (-1, GROUP)).abs().amax(2)
    u_scales = u.abs().amax(0)
    zeros = torch.full(v_scales.shape, FIXED_ZERO // highest, dtype=torch.uint8, device=v.device)
    codes = _encode(u, u_scales), _encode(v, v_scales.repeat_interleave(GROUP, 1)[:, :columns])
    values = group.singular_values.float() / FIXED_LARGEST**2
    found = Grids(16, codes[1], v_scales, zeros, GROUP, codes[0], u_scales, u_scales, GROUP, values)
    return _with_rank_grid(found, u_scales, torch.full(values.shape, float(FIXED_ZERO), device=v.device))


def _with_rank_grid(grids: Grids, scales: "torch.Tensor", zeros: "torch.Tensor") -> Grids:
    """U's rows get scales of 1 and zeros of 0: the ranks have them."""
    import torch

    m, r = grids.u_codes.shape
    ones = torch.ones(m, -(-r // GROUP), dtype=torch.float16, device=scales.device)
    return replace(
        grids,
        u_scales=ones,
        u_zeros=torch.zeros_like(ones, dtype=torch.uint8),
        u_group_size=GROUP,
        singular_values=grids.singular_values * scales.float(),
        rank_scales=scales.contiguous(),
        rank_zeros=zeros,
    )


def _without(grids: Grids, scales: "torch.Tensor") -> "torch.Tensor":
    """The singular values alone; of a scale of zero nothing is left, and nothing needed."""
    return (grids.singular_values / scales).nan_to_num(0.0, 0.0, 0.0)


def _encode(values: "torch.Tensor", scales: "torch.Tensor") -> "torch.Tensor":
    share = values.double() / scales.double().clamp(min=2.0**-24)  # the least fp16 above 0
    return ((share * FIXED_LARGEST).round() + FIXED_ZERO).int()


def _decode(codes: "torch.Tensor", scales: "torch.Tensor") -> "torch.Tensor":
    return (scales.float() * ((codes - FIXED_ZERO).float() / FIXED_LARGEST)).half()
