import pytest

from lib.delta_come import throughput
from lib.kernels.benchmark import Timing
from lib.kernels.delta import benchmark
from lib.kernels.delta.benchmark import DeltaRow


def row(product, outputs, inputs, microseconds, size, ratio=1.0, tenants=16, tokens=16):
    return DeltaRow(
        product, outputs, inputs, tokens, "bfloat16", "a GPU", 0, Timing(*[microseconds] * 3), size, 1.0, ratio,
        benchmark.PLAIN, tenants=tenants,
    )  # fmt: skip


def all_rows(ours=10.0, shared=20.0, separate=300.0):
    times = {benchmark.OURS: ours, benchmark.SHARED: shared, benchmark.SEPARATE: separate}
    return [row(name, *shape, taken, 1_000_000) for shape in benchmark.SHAPES for name, taken in times.items()]


def test_a_decode_step_adds_the_base_to_the_deltas_of_every_projection():
    step = throughput.decode_step(all_rows(), 16, bandwidth=2000)
    assert step.milliseconds == pytest.approx(32 * 7 * 30 / 1e3)
    assert step.speedup == pytest.approx(10)
    assert step.floor_milliseconds == pytest.approx(32 * 7 * 2e6 / 2000e6)


def test_a_step_of_which_a_product_is_missing_is_none():
    assert throughput.decode_step(all_rows()[1:], 16, 2000) is None
    assert throughput.decode_step(all_rows(), 8, 2000) is None


def test_ratios_are_those_of_the_kernels_by_shape_tenants_and_tokens():
    rows = [row(benchmark.OURS, 576, 576, 1, 1, 3.5, 4, 8), row("LoRA", 576, 576, 1, 1, 9.0, 4, 8)]
    assert throughput.ratios(rows) == {"576×576, 4 × 2": 3.5}


def test_every_way_serves_every_number_of_tenants_after_one_round_that_is_not_timed():
    calls = []
    ways = {
        "a": lambda count, tokens: calls.append(("a", count)),
        "b": lambda count, tokens: calls.append(("b", count)),
    }
    found = throughput.sweep(ways, [1, 4], new_tokens=2, turns=2)
    assert calls == [("a", 1), ("b", 1)] * 3 + [("a", 4), ("b", 4)] * 3
    assert {name: list(each) for name, each in found.items()} == {"a": [1, 4], "b": [1, 4]}


def test_a_way_is_left_out_where_it_would_take_too_long():
    ways = {name: lambda count, tokens: None for name in "ab"}
    found = throughput.sweep(ways, [1, 4], new_tokens=2, turns=1, at_most={"b": 1})
    assert {name: list(each) for name, each in found.items()} == {"a": [1, 4], "b": [1]}
