from dataclasses import replace

import pytest

from lib.kernels.benchmark import Row, Timing
from lib.kernels.speedup import case, read_bandwidth, speedup, sweep


def row(product, ratio, rows=1):
    return Row(product, 32, 64, rows, "float32", "a processor", 1, Timing(1, 1, 1), 1, 1.0, ratio, "torch fp32")


def test_the_fastest_dense_product_counts_whatever_its_dtype():
    rows = [row("sign_linear", 5.0), row("torch fp32", 1.0), row("numpy fp32", 0.5), row("torch bf16", 2.0)]
    assert speedup(rows) == {"32×64, 1 row": 2.5}


def test_each_case_has_its_own_ratio():
    rows = [row("sign_linear", 5.0), row("torch fp32", 1.0), row("sign_linear", 0.5, 4), row("torch fp32", 1.0, 4)]
    assert speedup(rows) == {"32×64, 1 row": 5.0, "32×64, 4 rows": 0.5}


def test_a_layer_with_layer_norm_is_not_taken_for_a_dense_product():
    rows = [row("sign_linear", 2.0), row("sign_linear + LayerNorm", 9.0), row("cuBLAS bf16", 1.0)]
    assert speedup(rows) == {"32×64, 1 row": 2.0}


@pytest.mark.parametrize("product", ["sign_linear", "torch fp32"])
def test_a_case_without_both_kinds_is_an_error_that_names_it(product):
    with pytest.raises(ValueError, match="32×64, 3 rows"):
        speedup([row(product, 1.0, 3)])


def test_a_sweep_measures_every_shape_and_number_of_rows():
    rows = sweep([(32, 40), (16, 8)], [1, 3], seconds=0)
    assert list(speedup(rows)) == ["32×40, 1 row", "32×40, 3 rows", "16×8, 1 row", "16×8, 3 rows"]


def test_one_row_is_not_called_rows():
    assert case(row("sign_linear", 1.0)) == "32×64, 1 row"
    assert case(replace(row("sign_linear", 1.0), rows=2)) == "32×64, 2 rows"


def test_the_bandwidth_is_a_speed():
    assert 0 < read_bandwidth(megabytes=1, repeats=2) < 1e5
