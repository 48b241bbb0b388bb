import json

import pytest

from lib.kernels.delta import benchmark

PRODUCTS = ["delta", "plain torch", "LoRA", "sign", "base", "dense"]


def test_the_plan_spends_a_sixteenth_of_the_weights_bits():
    assert benchmark.paper_plan(4096, 4096) == ((8, 2), (3, 32), (2, 968))
    assert benchmark.paper_plan(11008, 4096) == ((8, 2), (3, 32), (2, 1436))


def test_every_product_of_a_step_is_a_row_with_its_ratio_to_plain_torch():
    rows = benchmark.measure_cpu(512, 512, tenants=3, tokens=2, seconds=0)
    assert [row.product for row in rows] == PRODUCTS
    assert {(row.rows, row.tenants) for row in rows} == {(6, 3)}
    assert next(row for row in rows if row.product == "plain torch").ratio == 1
    sizes = {row.product: row.bytes for row in rows}
    assert sizes["delta"] == sizes["plain torch"]
    assert sizes["dense"] > sizes["base"] > sizes["delta"] > sizes["sign"]


def test_the_delta_products_floor_is_the_sixteenth_of_dense_16_bits_with_its_metadata():
    delta = benchmark.random_delta(1024, 1024, benchmark.paper_plan(1024, 1024))
    assert 1024 * 1024 / 8 <= delta.nbytes <= 1.2 * 1024 * 1024 / 8


def test_the_command_measures_every_shape_and_step(tmp_path, monkeypatch):
    monkeypatch.setattr(benchmark, "SHAPES", ((256, 512),))
    monkeypatch.setattr(benchmark, "CPU_STEPS", ((1, 1), (2, 1)))
    path = tmp_path / "rows.jsonl"
    options = ["--device", "cpu", "--seconds", "0"]
    monkeypatch.setattr("sys.argv", ["benchmark", "--out", str(path), *options])
    benchmark.main()
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(row["product"], row["tenants"]) for row in rows] == [(name, n) for n in (1, 2) for name in PRODUCTS]


@pytest.mark.parametrize(("outputs", "inputs"), benchmark.SHAPES)
def test_a_shape_of_the_7b_model_has_room_for_the_plan(outputs, inputs):
    assert all(ranks > 0 for _, ranks in benchmark.paper_plan(outputs, inputs))
