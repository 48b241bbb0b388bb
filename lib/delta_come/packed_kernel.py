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


JOBS_BYTES = 1024  # about what the jobs of a matrix take on a CPU, beside its codes and scales


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
        return self._bytes({f"matrix {number}": _layout(stored) for number, stored in enumerate(matrices)})

    def prepare(self, matrices: Iterable[PackedMatrix], device: "torch.device") -> PreparedDelta:
        """Put a tenant's matrices in the tables.

        Raises:
            DeltaError: The kernels do not take them.
        """
        from lib.kernels import delta as kernels

        sets: dict[tuple[str, ...], dict[str, PackedMatrix]] = {}
        for matrix in matrices:
            sets.setdefault(same_input(matrix.name), {})[matrix.name] = matrix
        named = {matrix.name: _layout(matrix) for found in sets.values() for matrix in found.values()}
        memory = kernels.Memory(self._bytes(named) + JOBS_BYTES * len(named), device)
        with self._lock:
            number = next(number for number in range(len(self._numbers) + 1) if number not in self._numbers)
            nbytes = 0
            for names, found in sets.items():
                if missing := [name for name in names if name not in found]:
                    raise DeltaError(f"{missing[0]} is missing beside {', '.join(found)}: compress all projections")
                unpacked = [found[name].unpack() for name in names]
                table = _table(unpacked, device, self._tables, names, number, memory)
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
        last = self._last  # the same for all layers of a step; other threads put theirs in its place meanwhile
        if last[0] != key:
            each = [number for number in numbers for _ in range(tokens // len(numbers))]
            self._last = last = (key, kernels.Routing.of(each, x.device))
        zeros = x.new_zeros(tokens, sum(table.outputs), dtype=_float32())
        y = kernels.delta_linear(x.reshape(tokens, -1), zeros, last[1], table, inplace=True)
        return [part.reshape(*x.shape[:-1], -1).to(x.dtype) for part in y.split(table.outputs, dim=-1)]

    def _bytes(self, layouts: dict[str, tuple[MatrixLayout, tuple[bool, ...]]]) -> int:
        counts, names = Counter(layouts.values()), {layout: name for name, layout in reversed(layouts.items())}
        return sum(
            count * _table([_zeros(names[layout], *layout)], self._device, {}).nbytes()
            for layout, count in counts.items()
        )

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
    memory: "kernels.Memory | None" = None,
) -> "kernels.DeltaTable":
    """Add matrices with the same input to their table, made where it is missing, and return it."""
    from lib.kernels import delta as kernels

    inputs, outputs = matrices[0].shape[1], tuple(matrix.shape[0] for matrix in matrices)
    deltas = list(map(_kernel_delta, matrices))
    table = tables.setdefault(names, kernels.DeltaTable(inputs, outputs, device))
    try:
        table.add(number, deltas, memory)
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


def _layout(matrix: StoredMatrix | PackedMatrix) -> tuple[MatrixLayout, tuple[bool, ...]]:
    return matrix.layout, tuple(order is not None for order in matrix.permutations)


def _zeros(name: str, layout: MatrixLayout, ordered: Sequence[bool]) -> "CompressedMatrix":
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
    return PackedMatrix(name, layout, *parts, orders).unpack()


def _float32() -> "torch.dtype":
    import torch

    return torch.float32
