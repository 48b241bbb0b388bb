"""One piece of memory for a tenant's deltas in all tables."""

import torch

from lib.kernels.delta import DeltaTable, Memory, delta_linear
from tests.kernels.delta.cases import delta, relative_error, same


def test_parts_of_a_memory_start_at_lines_and_do_not_overlap():
    memory = Memory(256)
    parts = [memory.take(size) for size in (10, 64, 1)]
    for number, part in enumerate(parts):
        part.fill_(number + 1)
    assert [len(part) for part in parts] == [10, 64, 1]
    assert all(bool((part == number + 1).all()) for number, part in enumerate(parts))
    assert len({part.untyped_storage().data_ptr() for part in parts}) == 1
    assert [part.data_ptr() % 64 for part in parts] == [parts[0].data_ptr() % 64] * 3


def test_what_does_not_fit_any_more_is_allocated_by_itself():
    memory = Memory(64)
    first, second = memory.take(40), memory.take(100)
    assert len(second) == 100
    assert first.untyped_storage().data_ptr() != second.untyped_storage().data_ptr()


def test_tables_that_share_a_memory_hold_and_compute_what_they_would_alone():
    deltas = [[delta(40, 96, [(8, 2), (3, 20)], seed=number)] for number in range(2)]
    sizes = DeltaTable(96, (40,))
    sizes.add(0, deltas[0])
    memory, x, base = Memory(2 * sizes.nbytes() + 4096), torch.randn(1, 96), torch.zeros(1, 40)
    tables = [DeltaTable(96, (40,)) for _ in deltas]
    for table, each in zip(tables, deltas, strict=True):
        table.add(0, each, memory)
    for table, each in zip(tables, deltas, strict=True):
        assert table.nbytes() == sizes.nbytes()
        assert same(table.restore(0)[0], each[0])
        assert relative_error(delta_linear(x, base, [0], table), x, base, [0], {0: each}) < 4e-6
