"""A compressed matrix as it is stored and served: packed, three tensors and its permutations.

packed = PackedMatrix.pack(matrix)       # of a CompressedMatrix
packed.unpack().delta()                  # the same delta, bit for bit
for group in packed.unpacked(): ...      # one bit group at a time, so that only one is ever unpacked
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lib.delta_come.layout import LARGEST_INT16, FactorLayout, GroupLayout, MatrixLayout
from lib.delta_come.packed import pack_codes, unpack_codes

if TYPE_CHECKING:
    import torch

    from lib.delta_come.factors import CompressedMatrix, Factor, GroupFactors


@dataclass(frozen=True)
class PackedMatrix:
    """The delta of one weight matrix, packed; see `layout` for what lies where.

    Attributes:
        name: The weight's name.
        layout: The sizes of its parts.
        codes: int32 [layout.words].
        halves: fp16 [layout.halves].
        singular_values: fp16 or float32 [layout.ranks].
        permutations: Of V and U of each group in turn: int16 (int32 beyond 32,767 columns) [columns], or None for the
            natural order.
    """

    name: str
    layout: MatrixLayout
    codes: "torch.Tensor"
    halves: "torch.Tensor"
    singular_values: "torch.Tensor"
    permutations: "tuple[torch.Tensor | None, ...]"

    @classmethod
    def pack(cls, matrix: "CompressedMatrix") -> "PackedMatrix":
        """Return the packed form of a compressed matrix."""
        import torch

        factors = [factor for group in matrix.groups for factor in (group.V, group.U)]
        layouts = [_factor_layout(factor) for factor in factors]
        words = [plane for factor, layout in zip(factors, layouts, strict=True) for plane in _words(factor, layout)]
        halves = [_halves(factor).flatten() for factor in factors]
        values = [group.singular_values.cpu() for group in matrix.groups]
        groups = tuple(GroupLayout(V, U) for V, U in zip(layouts[::2], layouts[1::2], strict=True))
        singular_values = torch.cat(values) if values else torch.empty(0, dtype=torch.float16)
        return cls(
            matrix.name,
            MatrixLayout(matrix.shape, groups, singular_values.itemsize),
            torch.cat(words) if words else torch.empty(0, dtype=torch.int32),
            torch.cat(halves) if halves else torch.empty(0, dtype=torch.float16),
            singular_values,
            tuple(map(_permutation, factors)),
        )

    @property
    def tensors(self) -> "list[torch.Tensor]":
        """Everything it holds; a permutation that groups share comes once."""
        shared = {id(order): order for order in self.permutations if order is not None}
        return [self.codes, self.halves, self.singular_values, *shared.values()]

    def map(self, change: "Callable[[torch.Tensor], torch.Tensor]") -> "PackedMatrix":
        """Return the same matrix with every tensor changed, for instance moved to a device."""
        orders = tuple(None if order is None else change(order) for order in self.permutations)
        return PackedMatrix(
            self.name, self.layout, change(self.codes), change(self.halves), change(self.singular_values), orders
        )

    def unpack(self) -> "CompressedMatrix":
        """Return the matrix with unpacked codes."""
        from lib.delta_come.factors import CompressedMatrix

        return CompressedMatrix(self.name, self.layout.shape, tuple(self.unpacked()))

    def unpacked(self) -> "Iterator[GroupFactors]":
        """Yield the bit groups with unpacked codes, one at a time."""
        from lib.delta_come.factors import GroupFactors

        words, halves, ranks = _Reader(self.codes), _Reader(self.halves), _Reader(self.singular_values)
        for place, group in enumerate(self.layout.groups):
            V, U = (
                _factor(layout, words, halves, order)
                for layout, order in zip((group.V, group.U), self.permutations[2 * place :], strict=False)
            )
            yield GroupFactors(U, V, ranks.take(group.ranks))

    def __repr__(self) -> str:
        m, n = self.layout.shape
        return f"PackedMatrix({self.name}, {m} x {n}, {self.layout.plan}, {self.layout.nbytes:,} bytes)"


class _Reader:
    """Takes one part after the other of a long tensor."""

    def __init__(self, tensor: "torch.Tensor") -> None:
        self._tensor, self._place = tensor, 0

    def take(self, length: int) -> "torch.Tensor":
        self._place += length
        return self._tensor[self._place - length : self._place]


def _factor_layout(factor: "Factor") -> FactorLayout:
    from lib.delta_come.factors import QuantisedMatrix

    rows, columns = factor.shape
    if isinstance(factor, QuantisedMatrix):
        shared = rows > 1 and factor.scales.shape[0] == 1
        return FactorLayout(rows, columns, factor.bits, factor.group_size, factor.symmetric, shared)
    return FactorLayout(rows, columns, 16, columns, True)


def _words(factor: "Factor", layout: FactorLayout) -> "list[torch.Tensor]":
    if layout.bits == 16:
        return []
    parts = [factor.codes] if layout.symmetric else [factor.codes, factor.zeros]
    return [plane.flatten() for part in parts for plane in pack_codes(part.cpu().reshape(1, -1), layout.bits)]


def _halves(factor: "Factor") -> "torch.Tensor":
    from lib.delta_come.factors import QuantisedMatrix

    return (factor.scales if isinstance(factor, QuantisedMatrix) else factor).half().cpu()


def _permutation(factor: "Factor") -> "torch.Tensor | None":
    import torch

    order = getattr(factor, "permutation", None)
    if order is None:
        return None
    return order.cpu().to(torch.int16 if len(order) <= LARGEST_INT16 else torch.int32)


def _factor(layout: FactorLayout, words: _Reader, halves: _Reader, order: "torch.Tensor | None") -> "Factor":
    import torch

    from lib.delta_come.factors import QuantisedMatrix

    values = halves.take(layout.halves)
    if layout.bits == 16:
        return values.view(layout.rows, layout.columns)
    codes = _unpacked(layout.code_words, words, layout.bits, layout.rows, layout.columns)
    scales = values.view(layout.scale_shape)
    if layout.symmetric:
        zeros = torch.full(scales.shape, 2 ** (layout.bits - 1), dtype=torch.uint8, device=scales.device)
    else:
        zeros = _unpacked(layout.zero_words, words, layout.bits, *layout.scale_shape)
    order = None if order is None else order.int()
    return QuantisedMatrix(codes, layout.bits, scales, zeros, layout.group_size, order, layout.symmetric)


def _unpacked(counts: tuple[int, ...], words: _Reader, bits: int, rows: int, columns: int) -> "torch.Tensor":
    planes = [words.take(count).unsqueeze(0) for count in counts]
    return unpack_codes(planes, bits, rows * columns).view(rows, columns)
