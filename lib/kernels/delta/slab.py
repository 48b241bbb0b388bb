"""One delta in a processor's own layout: repacked from canonical planes, restored to them, nothing kept twice.

What `layout.py` says of one group, for all groups of a delta. On a GPU their granules stand in one row, so a product
sees one matrix; on a CPU each group is a part of its own. Ranks are put in the order of U's permutation (the order of
ranks means nothing), inputs stay in the order of V's, which the kernels gather.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lib.kernels.delta import layout as digits
from lib.kernels.delta.packed import GROUP, PackedDelta, PackedGroup, PackedMatrix

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


@dataclass(frozen=True)
class Slab:
    """A delta in a processor's layout.

    Attributes:
        layout: "gpu" or "cpu".
        outputs: m.
        inputs: n.
        groups: Shape by group.
        parts: Tensors by name (`TENSORS`); one part on a GPU, one a group on a CPU, none for a delta of zero.
        orders: Distinct permutations of the inputs, int32 [n], or None for the natural order.
    """

    layout: str
    outputs: int
    inputs: int
    groups: tuple[GroupShape, ...]
    parts: "tuple[dict[str, torch.Tensor], ...]"
    orders: "tuple[torch.Tensor | None, ...]"

    @property
    def nbytes(self) -> int:
        """Bytes that it takes, padding and permutations counted."""
        orders = [*self.orders, *(shape.u_order for shape in self.groups)]
        kept = [tensor for part in self.parts for tensor in part.values()] + [
            each for each in orders if each is not None
        ]
        return sum(tensor.nbytes for tensor in kept)

    def granules(self, group: int) -> int:
        """Granules of 32 directions that a group takes on a GPU."""
        shape = self.groups[group]
        return -(-shape.ranks * digits.digits_a_code(shape.bits, "gpu") // digits.GRANULE)


def build(delta: PackedDelta, layout: str, device: "torch.device | str") -> Slab:
    """Return a delta in the layout "gpu" or "cpu", on `device`.

    Raises:
        TypeError, ValueError: See `PackedMatrix.check`.
    """
    import torch

    delta.check()
    orders: list[torch.Tensor | None] = []
    shapes, parts = [], []
    for group in delta.groups:
        shapes.append(
            GroupShape(
                group.u.bits, group.ranks, group.u.group_size, group.v.group_size, group.singular_values.dtype,
                None if group.u.permutation is None else group.u.permutation.int().to(device),
                _number_of(group.v.permutation, orders, device),
            )
        )  # fmt: skip
        parts.append({name: tensor.to(device) for name, tensor in _part(group, layout).items()})
    if layout == "gpu" and len(parts) > 1:
        parts = [
            {name: torch.cat([p[name] for p in parts], JOINED_ALONG.get(name, 0)).contiguous() for name in TENSORS}
        ]
    return Slab(layout, delta.outputs, delta.inputs, tuple(shapes), tuple(parts), tuple(orders))


def restore(slab: Slab) -> PackedDelta:
    """Return the canonical form of what `build` was given."""
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


def _part(group: PackedGroup, layout: str) -> "dict[str, torch.Tensor]":
    import torch

    u, v, bits = group.u, group.v, group.u.bits
    base, count = (2, bits) if layout == "cpu" else (4, digits.digits_a_code(bits, layout))
    ranks = slice(None) if u.permutation is None else u.permutation.long()
    v_digits = digits.split_digits(v.codes()[ranks], bits, layout).transpose(1, 2).flatten(0, 1)
    u_digits = digits.split_digits(u.codes(), bits, layout).flatten(1)
    power = torch.tensor([float(base) ** j for j in range(count)], device=v.scales.device)
    first = (power == 1).to(torch.uint8)  # the zero goes with the lowest digit of V
    row_scales, row_zeros = (_by_chunk(each[ranks], v, 1) for each in (v.scales, v.zeros))
    rows = {
        "v_scales": row_scales.repeat_interleave(count, 0),
        "v_zeros": (row_zeros[:, None, :] * first[None, :, None]).flatten(0, 1),
        "factors": (group.singular_values.float()[ranks][:, None] * power).flatten()[:, None],
    }
    digits_a_scale = count if layout == "gpu" else 1  # a chunk is 128 directions on a GPU, 128 ranks on a CPU
    columns = {
        name: _by_chunk(each, u, digits_a_scale) for name, each in (("u_scales", u.scales), ("u_zeros", u.zeros))
    }
    return (_gpu_part if layout == "gpu" else _cpu_part)(v_digits, u_digits, rows, columns)


def _by_chunk(values: "torch.Tensor", matrix: PackedMatrix, digits_a_code: int) -> "torch.Tensor":
    """Scales or zeros [rows, groups] as [rows, chunks], chunks of 128 directions of `digits_a_code` a column."""
    import torch

    chunk = torch.arange(-(-matrix.columns * digits_a_code // GROUP), device=values.device)
    return values[:, chunk * GROUP // digits_a_code // matrix.group_size]


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
    import torch

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
    sigma = part["factors"].flatten()[:directions:count]
    back = slice(None) if shape.u_order is None else torch.argsort(shape.u_order)
    v_codes = digits.join_digits(v_digits, layout)[back]
    v_scales, v_zeros = (_by_group(rows[name][back], shape.v_group_size, n, 1) for name in ("v_scales", "v_zeros"))
    a_scale = count if layout == "gpu" else 1
    u_scales, u_zeros = (
        _by_group(columns[name], shape.u_group_size, shape.ranks, a_scale) for name in ("u_scales", "u_zeros")
    )
    v_order = slab.orders[shape.v_order]
    return PackedGroup(
        PackedMatrix.pack(
            digits.join_digits(u_digits, layout), bits, u_scales, u_zeros, shape.u_group_size, shape.u_order
        ),
        PackedMatrix.pack(v_codes, bits, v_scales, v_zeros, shape.v_group_size, v_order),
        sigma[back].to(shape.dtype),
    )


def _by_group(values: "torch.Tensor", group_size: int, columns: int, digits_a_code: int) -> "torch.Tensor":
    """The inverse of `_by_chunk`: the first chunk of each group."""
    import torch

    group = torch.arange(-(-columns // group_size), device=values.device)
    return values[:, group * group_size * digits_a_code // GROUP].contiguous()
