"""One delta in a processor's own layout: repacked from canonical planes, restored to them, nothing kept twice.

What `layout.py` says of one group, for all groups of a delta. On a GPU their granules stand in one row, so a product
sees one matrix; on a CPU each group is a part of its own. Ranks are put in the order of U's permutation (the order of
ranks means nothing), inputs stay in the order of V's, which the kernels gather.
"""

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lib.kernels.delta import grids
from lib.kernels.delta import layout as digits
from lib.kernels.delta.memory import Memory, Place, in_one_piece, view
from lib.kernels.delta.packed import GROUP, PackedDelta, PackedGroup

if TYPE_CHECKING:
    import torch

TENSORS = ("v_words", "v_scales", "v_zeros", "u_words", "u_scales", "u_zeros", "factors")
JOINED_ALONG = {"u_words": 1, "u_scales": 1, "u_zeros": 1}  # the granules' dimension on a GPU; 0 of the others


@dataclass(frozen=True)
class GroupShape:
    """What is not in the words of a group: enough to restore it."""

    bits: int
    ranks: int
    u_group_size: int
    v_group_size: int
    dtype: "torch.dtype"
    u_order: "torch.Tensor | None"
    v_order: int
    rank_scales: "torch.Tensor | None" = None


@dataclass(frozen=True)
class Slab:
    """A delta in a processor's layout.

    Attributes:
        layout: "gpu" or "cpu".
        outputs: m.
        inputs: n.
        groups: Shape by group.
        memory: uint8, all tensors in one piece: thousands of small ones would cost a third more than they hold.
        places: Of the tensors of each part; one part on a GPU, one a group on a CPU, none for a delta of zero.
        orders: Distinct permutations of the inputs, int32 [n], or None for the natural order.
    """

    layout: str
    outputs: int
    inputs: int
    groups: tuple[GroupShape, ...]
    memory: "torch.Tensor"
    places: tuple[tuple[Place, ...], ...]
    orders: "tuple[torch.Tensor | None, ...]"

    @property
    def parts(self) -> "tuple[dict[str, torch.Tensor], ...]":
        """The tensors of each part by name (`TENSORS`), as views of the memory."""
        return tuple({place.name: view(self.memory, place) for place in places} for places in self.places)

    @property
    def nbytes(self) -> int:
        """Bytes that it takes, padding and permutations counted."""
        beside = [*self.orders, *(each for shape in self.groups for each in (shape.u_order, shape.rank_scales))]
        return self.memory.nbytes + sum(each.nbytes for each in beside if each is not None)

    def granules(self, group: int) -> int:
        """Granules of 32 directions that a group takes on a GPU."""
        shape = self.groups[group]
        return -(-shape.ranks * digits.digits_a_code(shape.bits, "gpu") // digits.GRANULE)


def build(delta: PackedDelta, layout: str, device: "torch.device | str", memory: Memory | None = None) -> Slab:
    """Return a delta in the layout "gpu" or "cpu", on `device`, in a part of `memory` where that is given.

    Raises:
        TypeError, ValueError: See `PackedDelta.check`.
    """
    import torch

    delta.check()
    orders: list[torch.Tensor | None] = []
    shapes, parts = [], []
    for group in delta.groups:
        part, rank_scales = _part(group, layout)
        u_order, v_order = (getattr(factor, "permutation", None) for factor in (group.u, group.v))
        sizes = (getattr(factor, "group_size", GROUP) for factor in (group.u, group.v))
        shapes.append(
            _shape(
                group.bits, group.ranks, *sizes, group.singular_values.dtype,
                None if u_order is None else u_order.int().to(device),
                _number_of(v_order, orders, device),
                None if rank_scales is None else rank_scales.to(device),
            )
        )  # fmt: skip
        parts.append({name: tensor.to(device) for name, tensor in part.items()})
    if layout == "gpu" and len(parts) > 1:
        parts = [
            {name: torch.cat([p[name] for p in parts], JOINED_ALONG.get(name, 0)).contiguous() for name in TENSORS}
        ]
    return Slab(
        layout,
        delta.outputs,
        delta.inputs,
        tuple(shapes),
        *in_one_piece(parts, memory or Memory(0, device)),
        tuple(orders),
    )


def _shape(*fields: object) -> GroupShape:
    """A shape; of equal ones without tensors the first."""
    return _one_shape(*fields) if fields[5] is None and fields[7] is None else GroupShape(*fields)


@functools.lru_cache(maxsize=4096)
def _one_shape(*fields: object) -> GroupShape:
    return GroupShape(*fields)


def restore(slab: Slab) -> PackedDelta:
    """Return the canonical form of what `build` was given; fp16 factors to the 15 bits that are left of them."""
    groups = []
    for number, shape in enumerate(slab.groups):
        part = _cut(slab, number) if slab.layout == "gpu" else slab.parts[number]
        groups.append(_group(part, shape, slab))
    return PackedDelta(slab.outputs, slab.inputs, tuple(groups))


def _number_of(
    permutation: "torch.Tensor | None", orders: "list[torch.Tensor | None]", device: "torch.device | str"
) -> int:
    """The place of a permutation among those seen; it is added if it is new."""
    import torch

    for number, known in enumerate(orders):
        if (known is None) == (permutation is None) and (
            known is None or torch.equal(known.cpu(), permutation.cpu().int())
        ):
            return number
    orders.append(None if permutation is None else permutation.int().to(device).contiguous())
    return len(orders) - 1


def _part(group: PackedGroup, layout: str) -> "tuple[dict[str, torch.Tensor], torch.Tensor | None]":
    """The tensors of one group, and the scales of its ranks if it has any."""
    import torch

    bits = group.bits
    base, count = (2, bits) if layout == "cpu" else (4, digits.digits_a_code(bits, layout))
    made = grids.of_group(group, base ** (count - 1))
    v_digits = digits.split_digits(made.v_codes, bits, layout).transpose(1, 2).flatten(0, 1)
    u_digits = digits.split_digits(made.u_codes, bits, layout).flatten(1)
    power = torch.tensor([float(base) ** j for j in range(count)], device=made.v_scales.device)
    lowest = (power == 1).to(torch.uint8)
    with_zero = lowest if bits < 16 else lowest.flip(0)
    inputs = made.v_codes.shape[1]
    row_scales, row_zeros = (_by_chunk(each, inputs, made.v_group_size, 1) for each in (made.v_scales, made.v_zeros))
    rows = {
        "v_scales": row_scales.repeat_interleave(count, 0),
        "v_zeros": (row_zeros[:, None, :] * with_zero[None, :, None]).flatten(0, 1),
        "factors": (made.singular_values[:, None] * power).flatten()[:, None],
    }
    if layout == "gpu":  # of every direction, what is taken off y beside its factor: the rank's zero, with one digit
        zeros = torch.zeros_like(made.singular_values) if made.rank_zeros is None else made.rank_zeros
        rows["factors"] = torch.cat([rows["factors"], (zeros[:, None] * lowest).flatten()[:, None]], 1)
    digits_a_scale = count if layout == "gpu" else 1  # a chunk is 128 directions on a GPU, 128 ranks on a CPU
    columns = {
        name: _by_chunk(each, group.ranks, made.u_group_size, digits_a_scale)
        for name, each in (("u_scales", made.u_scales), ("u_zeros", made.u_zeros))
    }
    part = (_gpu_part if layout == "gpu" else _cpu_part)(v_digits, u_digits, rows, columns)
    if layout == "cpu" and made.rank_zeros is not None:
        part["rank_zeros"] = made.rank_zeros
    return part, made.rank_scales


def _by_chunk(values: "torch.Tensor", columns: int, group_size: int, digits_a_code: int) -> "torch.Tensor":
    """Scales or zeros [rows, groups] as [rows, chunks], chunks of 128 directions of `digits_a_code` a column."""
    import torch

    chunk = torch.arange(-(-columns * digits_a_code // GROUP), device=values.device)
    return values[:, chunk * GROUP // digits_a_code // group_size]


def _gpu_part(
    v_digits: "torch.Tensor",
    u_digits: "torch.Tensor",
    rows: "dict[str, torch.Tensor]",
    columns: "dict[str, torch.Tensor]",
) -> "dict[str, torch.Tensor]":
    def tiled(each: "torch.Tensor", size: int) -> "torch.Tensor":
        return digits.pad(each, size, 1).unflatten(0, (-1, size)).transpose(1, 2).contiguous()

    factors = tiled(rows.pop("factors"), digits.GRANULE)
    return {
        "v_words": digits.gpu_v_words(digits.pad(v_digits, digits.GRANULE, digits.CHUNK)),
        "u_words": digits.gpu_u_words(digits.pad(u_digits, digits.TILE_OUTPUTS, digits.GRANULE)),
        "factors": factors,
        **{name: digits.by_thread(tiled(each, digits.GRANULE)) for name, each in rows.items()},
        **{name: digits.by_thread(tiled(each, digits.TILE_OUTPUTS)) for name, each in columns.items()},
    }


def _cpu_part(
    v_digits: "torch.Tensor",
    u_digits: "torch.Tensor",
    rows: "dict[str, torch.Tensor]",
    columns: "dict[str, torch.Tensor]",
) -> "dict[str, torch.Tensor]":
    def by_lane(each: "torch.Tensor") -> "torch.Tensor":
        return digits.pad(each, digits.LANES, 1).unflatten(0, (-1, digits.LANES)).transpose(1, 2).contiguous()

    return {
        "v_words": digits.cpu_words(digits.pad(v_digits, digits.LANES, 32)),
        "u_words": digits.cpu_words(digits.pad(u_digits, digits.LANES, 32)),
        **{name: by_lane(each) for name, each in (rows | columns).items()},
    }


def _cut(slab: Slab, number: int) -> "dict[str, torch.Tensor]":
    """The tensors of one group of a slab on a GPU."""
    granules = [slab.granules(i) for i in range(len(slab.groups))]
    chunks = [-(-each // 4) for each in granules]
    cut = {}
    for name, tensor in slab.parts[0].items():
        counts = chunks if name in ("u_scales", "u_zeros") else granules
        cut[name] = tensor.narrow(JOINED_ALONG.get(name, 0), sum(counts[:number]), counts[number])
    return cut


def _group(part: "dict[str, torch.Tensor]", shape: GroupShape, slab: Slab) -> PackedGroup:
    layout, bits, m, n = slab.layout, shape.bits, slab.outputs, slab.inputs
    count = digits.digits_a_code(bits, layout)
    to_v, to_u = (digits.gpu_v_digits, digits.gpu_u_digits) if layout == "gpu" else (digits.cpu_bits,) * 2
    directions = shape.ranks * count
    v_digits = to_v(part["v_words"])[:directions, :n].unflatten(0, (-1, count)).transpose(1, 2)
    u_digits = to_u(part["u_words"])[:m, :directions].unflatten(1, (-1, count))
    by_row = digits.from_thread if layout == "gpu" else (lambda each: each)
    rows = {
        name: by_row(part[name]).transpose(1, 2).flatten(0, 1)[:directions:count] for name in ("v_scales", "v_zeros")
    }
    columns = {name: by_row(part[name]).transpose(1, 2).flatten(0, 1)[:m] for name in ("u_scales", "u_zeros")}
    sigma = part["factors"][:, 0].flatten()[:directions:count]
    u_size, a_scale = (shape.u_group_size if shape.rank_scales is None else GROUP), (count if layout == "gpu" else 1)
    zeros = None
    if shape.rank_scales is not None:
        zeros = part["factors"][:, 1].flatten()[:directions:count] if layout == "gpu" else part["rank_zeros"]
    made = grids.Grids(
        bits,
        digits.join_digits(v_digits, layout),
        *(_by_group(rows[name], shape.v_group_size, n, 1) for name in ("v_scales", "v_zeros")),
        shape.v_group_size,
        digits.join_digits(u_digits, layout),
        *(_by_group(columns[name], u_size, shape.ranks, a_scale) for name in ("u_scales", "u_zeros")),
        u_size,
        sigma,
        shape.rank_scales,
        zeros,
    )
    form = (shape.u_group_size, shape.u_order, slab.orders[shape.v_order], shape.dtype)
    return grids.to_group(made, form)


def _by_group(values: "torch.Tensor", group_size: int, columns: int, digits_a_code: int) -> "torch.Tensor":
    """The inverse of `_by_chunk`: the first chunk of each group."""
    import torch

    group = torch.arange(-(-columns // group_size), device=values.device)
    return values[:, group * group_size * digits_a_code // GROUP].contiguous()
