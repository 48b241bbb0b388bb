"""The products of a served model by `lib.kernels.delta`: packed digits on the CPU, Triton on a GPU.

    served = attach(base_model, tenants, kernel=PackedKernel())

Weights that read the same input (q, k, v; gate, up) are one table and one call. Every group that artifacts hold is
served: of 2 to 8 bits, of 16 (as codes of 16 bits, `lib.kernels.delta.grids`), with the scales of rows or of ranks
(`CompressOptions.rank_scales`). Left out: groups of fewer than 128 columns a scale; plain torch serves those.
"""

import threading
import weakref
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from lib.delta_come.errors import DeltaError
from lib.delta_come.header import StoredMatrix
from lib.delta_come.layout import MatrixLayout
from lib.delta_come.routing import BASE, same_input
from lib.delta_come.stored import PackedMatrix

if TYPE_CHECKING:
    import torch

    from lib.delta_come.factors import CompressedMatrix, Factor
    from lib.kernels import delta as kernels


class PreparedDelta:
    """One tenant in the kernels' tables; it leaves them when nothing holds it any more.

    Attributes:
        number: Its row in every table.
        nbytes: What its matrices take there.
    """

    def __init__(self, number: int, nbytes: int) -> None:
        self.number, self.nbytes = number, nbytes


class PackedKernel:
    """A `DeltaKernel` on packed digits, for one served model.

    Args:
        device: Where that model is; only `resident_bytes` needs to be told.
    """

    def __init__(self, device: "torch.device | str" = "cpu") -> None:
        self._device, self._lock = device, threading.Lock()
        self._tables: dict[tuple[str, ...], kernels.DeltaTable] = {}
        self._numbers: set[int] = set()
        self._last: tuple[Any, Any] = (None, None)

    def resident_bytes(self, matrices: Iterable[StoredMatrix]) -> int:
        """Return the bytes in the kernels' layout, told by a matrix of zeros for each layout that there is."""
        layouts = Counter(
            (stored.layout, tuple(place is not None for place in stored.permutations)) for stored in matrices
        )
        return sum(count * _table([_zeros(*kind)], self._device, {}).nbytes() for kind, count in layouts.items())

    def prepare(self, matrices: Iterable[PackedMatrix], device: "torch.device") -> PreparedDelta:
        """Put a tenant's matrices in the tables.

        Raises:
            DeltaError: The kernels do not take them.
        """
        sets: dict[tuple[str, ...], dict[str, CompressedMatrix]] = {}
        for matrix in matrices:
            sets.setdefault(same_input(matrix.name), {})[matrix.name] = matrix.unpack()
        with self._lock:
            number = next(number for number in range(len(self._numbers) + 1) if number not in self._numbers)
            nbytes = 0
            for names, found in sets.items():
                if missing := [name for name in names if name not in found]:
                    raise DeltaError(f"{missing[0]} is missing beside {', '.join(found)}: compress all projections")
                table = _table([found[name] for name in names], device, self._tables, names, number)
                nbytes += table.nbytes(number)
            self._numbers.add(number)
        prepared = PreparedDelta(number, nbytes)
        weakref.finalize(prepared, self._release, number, list(sets))
        return prepared

    def nbytes(self, deltas: PreparedDelta) -> int:
        """Return what a tenant's matrices take in the tables."""
        return deltas.nbytes

    def products(
        self, x: "torch.Tensor", rows: "torch.Tensor", names: Sequence[str], tenants: Sequence[PreparedDelta]
    ) -> "list[torch.Tensor | None]":
        """Return the products for each weight, in one call for all of them and all tenants."""
        from lib.kernels import delta as kernels

        table = self._tables.get(tuple(names))
        if table is None or not tenants:
            return [None] * len(names)
        numbers = tuple(BASE if place < 0 else tenants[place].number for place in rows.tolist())
        tokens = x.numel() // x.shape[-1]
        key = (numbers, tokens, x.device)
        if self._last[0] != key:  # the same for all layers of a step
            each = [number for number in numbers for _ in range(tokens // len(numbers))]
            self._last = (key, kernels.Routing.of(each, x.device))
        zeros = x.new_zeros(tokens, sum(table.outputs), dtype=_float32())
        y = kernels.delta_linear(x.reshape(tokens, -1), zeros, self._last[1], table, inplace=True)
        return [part.reshape(*x.shape[:-1], -1).to(x.dtype) for part in y.split(table.outputs, dim=-1)]

    def _release(self, number: int, sets: Sequence[tuple[str, ...]]) -> None:
        with self._lock:
            for names in sets:
                self._tables[names].drop(number)
            self._numbers.discard(number)


def _table(
    matrices: "Sequence[CompressedMatrix]",
    device: "torch.device | str",
    tables: "dict[tuple[str, ...], kernels.DeltaTable]",
    names: tuple[str, ...] = (),
    number: int = 0,
) -> "kernels.DeltaTable":
    """Add matrices with the same input to their table, made where it is missing, and return it."""
    from lib.kernels import delta as kernels

    inputs, outputs = matrices[0].shape[1], tuple(matrix.shape[0] for matrix in matrices)
    deltas = list(map(_kernel_delta, matrices))
    table = tables.setdefault(names, kernels.DeltaTable(inputs, outputs, device))
    try:
        table.add(number, deltas)
    except (TypeError, ValueError) as error:
        raise DeltaError(f"{matrices[0].name}: {error}; or serve it without kernels, in plain torch") from error
    return table


def _kernel_delta(matrix: "CompressedMatrix") -> "kernels.PackedDelta":
    from lib.kernels import delta as kernels

    groups = tuple(
        kernels.PackedGroup(_factor(group.U), _factor(group.V), group.singular_values) for group in matrix.groups
    )
    return kernels.PackedDelta(*matrix.shape, groups)


def _factor(factor: "Factor") -> "kernels.PackedMatrix | torch.Tensor":
    from lib.delta_come.factors import QuantisedMatrix
    from lib.kernels import delta as kernels

    if not isinstance(factor, QuantisedMatrix):
        return factor
    return kernels.PackedMatrix.pack(
        factor.codes, factor.bits, factor.scales, factor.zeros, factor.group_size, factor.permutation
    )


def _zeros(layout: MatrixLayout, ordered: Sequence[bool]) -> "CompressedMatrix":
    """Return a matrix of zeros of some sizes."""
    import torch

    parts = (
        torch.zeros(layout.words, dtype=torch.int32),
        torch.zeros(layout.halves, dtype=torch.float16),
        torch.zeros(layout.ranks, dtype=torch.float16),
    )
    orders = tuple(
        torch.arange(factor.columns) if there else None for factor, there in zip(layout.factors, ordered, strict=True)
    )
    return PackedMatrix("a matrix", layout, *parts, orders).unpack()


def _float32() -> "torch.dtype":
    import torch

    return torch.float32
