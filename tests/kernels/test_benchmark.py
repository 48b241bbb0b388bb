import json
import math

import pytest
import torch

from lib.kernels import benchmark, benchmark_gpu, roofline


@pytest.fixture(scope="module")
def rows():
    return benchmark.measure_cpu(64, 96, 2, threads=1, seconds=0)


def test_every_product_of_a_shape_is_a_row_with_its_ratio_to_the_fastest_dense_one(rows):
    assert [row.product for row in rows] == ["sign_linear", "torch fp32", "numpy fp32", "torch bf16"]
    assert len({row.against for row in rows}) == 1
    assert rows[0].against in {"torch fp32", "numpy fp32"}
    assert next(row for row in rows if row.product == rows[0].against).ratio == 1
    for row in rows:
        assert row.timing.p20_us <= row.timing.median_us <= row.timing.p80_us
        assert {"python", "torch", "numpy"} <= set(row.versions)


def test_rows_are_appended_to_what_is_there(rows, tmp_path, capsys):
    path = tmp_path / "rows.jsonl"
    benchmark.append(rows[:1], path)
    benchmark.append(rows[1:], path)
    written = [json.loads(line) for line in path.read_text().splitlines()]
    assert [row["product"] for row in written] == [row.product for row in rows]
    assert written[0]["timing"]["median_us"] == rows[0].timing.median_us
    assert "sign_linear" in capsys.readouterr().out


def test_the_command_measures_every_shape(tmp_path, monkeypatch):
    monkeypatch.setattr(benchmark, "CPU_SHAPES", ((32, 40),))
    monkeypatch.setattr(benchmark, "CPU_ROWS", (1, 3))
    path = tmp_path / "rows.jsonl"
    monkeypatch.setattr("sys.argv", ["benchmark", "--out", str(path), "--device", "cpu", "--seconds", "0"])
    benchmark.main()
    assert [json.loads(line)["rows"] for line in path.read_text().splitlines()] == [1] * 4 + [3] * 4


def test_a_product_that_fails_on_the_gpu_is_a_row_with_a_note(monkeypatch, tmp_path):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "a GPU")
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)

    def fails():
        raise RuntimeError("no such shape")

    row = benchmark_gpu._row("gemlite 1-bit", fails, roofline.packed(16, 16, 1, 2), 3000.0, (16, 16, 1))
    assert row.note == "RuntimeError: no such shape"
    assert math.isnan(row.timing.median_us)
    benchmark.append([row], tmp_path / "rows.jsonl")
    assert json.loads((tmp_path / "rows.jsonl").read_text())["timing"]["median_us"] is None


def test_a_library_that_is_not_installed_is_left_out():
    def missing():
        raise ImportError("gemlite")

    assert benchmark_gpu._row("gemlite 1-bit", missing, roofline.packed(16, 16, 1, 2), 3000.0, (16, 16, 1)) is None


def test_the_floor_is_that_of_the_facts():
    """28672 × 8192 at the 3.35 TB/s of an H100, one row: 29.4 MB of weights, g and h."""
    packed, dense = roofline.packed(28672, 8192, 1, 2), roofline.dense(28672, 8192, 1, 2)
    assert packed.floor_us(3350) == pytest.approx(8.81, abs=0.05)
    assert dense.floor_us(3350) == pytest.approx(140.2, abs=0.2)
    assert dense.total / packed.total == pytest.approx(16, rel=0.01)
