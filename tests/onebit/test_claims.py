"""The judges give each verdict when the evidence calls for it."""

from dataclasses import replace

import pytest

from lib.ledger import Status, judge
from lib.onebit.claims import CLAIMS
from lib.onebit.metrics import CountTheBits, MultiplyBySigns, MultiplyBySignsOnGpu, SeparateSignAndValue

BY_NUMBER = {claim.id.removeprefix("onebit."): claim for claim in CLAIMS}
MEASURED = ("C1", "C2", "C3", "C4", "C5", "C17")

GOOD_SPLIT = SeparateSignAndValue(
    model="tiny",
    model_parameters=10,
    matrices=210,
    random_matrices=90,
    layer_deviation=2e-15,
    lemma_1_violations=0,
    proposition_2_violations=0,
    smallest_sigma_ratio=1.6,
    errors={"svid": 0.37},
    svid_errors_by_type={"q": 0.37},
    nmf_excess=2e-10,
    nmf_steps=5,
    svid_steps=11,
    bits_per_weight=1.046,
    svid_seconds=1.0,
)
GOOD_COUNT = CountTheBits(
    model="tiny",
    model_parameters=10,
    layers=7,
    layers_off=0,
    average_bits_4096=16_908_288 / 16_785_408,
    sizes_gb={"LLaMA-7B": 1.339, "LLaMA-13B": 2.25},
    reductions={"LLaMA-7B": 90.06, "LLaMA-13B": 91.36},
    table_3_deviation_gb=0.04998,
    file_bytes=1001,
    predicted_bytes=1000,
    model_reduction=73.7,
    model_bits_per_parameter=4.2,
    linear_average_bits=1.043,
)
GOOD_SPEED = MultiplyBySigns(
    model="one layer",
    model_parameters=0,
    layers=("576×576", "4096×4096"),
    threads=1,
    exact_cases=8,
    largest_error=1e-6,
    weights_fp32_over_packed=32.0,
    weights_bf16_over_packed=16.0,
    moved_bf16_over_packed=15.5,
    speedups=(18.0, 20.0, 19.0),
    speedup_by_case={"576×576, 1 row": 1.8, "4096×4096, 1 row": 19.0, "576×576, 256 rows": 0.9},
    microseconds={},
    read_gigabytes_per_s=27.0,
    unpack_first=40.0,
)
GOOD_GPU = MultiplyBySignsOnGpu(
    model="one layer",
    model_parameters=0,
    exact_cases=4,
    largest_error=1e-6,
    speedup_by_case={"4096×4096, 1 row": 5.0, "4096×4096, 2048 rows": 0.9},
    microseconds={},
)


def status(number, *evidence):
    return judge(BY_NUMBER[number], evidence).status


def test_every_claim_of_the_paper_has_a_row_in_order():
    assert [claim.id for claim in CLAIMS] == [f"onebit.C{number}" for number in range(1, 20)]


def test_good_evidence_holds():
    evidence = (GOOD_SPLIT, GOOD_COUNT)
    assert [status(number, *evidence) for number in ("C1", "C2", "C3", "C4")] == [Status.HOLDS] * 4


def test_half_of_c5_holds_in_direction_and_names_the_half_that_waits():
    verdict = judge(BY_NUMBER["C5"], [GOOD_SPLIT])
    assert verdict.status is Status.HOLDS_IN_DIRECTION
    assert "faster training is not measured" in verdict.reason


@pytest.mark.parametrize(
    "claim", [claim for claim in CLAIMS if claim.id[7:] not in MEASURED], ids=lambda claim: claim.id
)
def test_what_is_not_measured_says_what_it_needs(claim):
    verdict = judge(claim, [GOOD_SPLIT, GOOD_COUNT])
    assert verdict.status is Status.NOT_MEASURED
    assert "needs " in verdict.reason


@pytest.mark.parametrize(
    ("number", "change"),
    [
        ("C1", {"average_bits_4096": 1.0078}),
        ("C1", {"layers_off": 1}),
        ("C2", {"reductions": {"LLaMA-7B": 89.9, "LLaMA-13B": 91.4}}),
        ("C2", {"reductions": {"LLaMA-7B": 91.4, "LLaMA-13B": 90.1}}),
        ("C2", {"table_3_deviation_gb": 0.06}),
        ("C2", {"file_bytes": 1011}),
        ("C2", {"file_bytes": 989}),
        ("C3", {"layer_deviation": 1e-9}),
        ("C4", {"lemma_1_violations": 1}),
        ("C4", {"proposition_2_violations": 1}),
        ("C5", {"nmf_excess": 1e-4}),
    ],
)
def test_one_bad_number_fails_its_claim(number, change):
    good = GOOD_COUNT if number in ("C1", "C2") else GOOD_SPLIT
    assert status(number, replace(good, **change)) is Status.FAILS


def test_one_bad_seed_among_good_ones_fails():
    bad = replace(GOOD_SPLIT, proposition_2_violations=1, layer_deviation=1e-6, nmf_excess=1e-3)
    assert [status(number, GOOD_SPLIT, bad, GOOD_SPLIT) for number in ("C3", "C4", "C5")] == [Status.FAILS] * 3


def test_random_matrices_of_several_seeds_add_up_and_the_models_count_once():
    verdict = judge(BY_NUMBER["C4"], [GOOD_SPLIT, GOOD_SPLIT, GOOD_SPLIT])
    assert "0 violations in 480 matrices" in verdict.reason


def test_the_numbers_shown_are_the_average_bits_and_the_smallest_reduction():
    assert judge(BY_NUMBER["C1"], [GOOD_COUNT]).measured == pytest.approx(1.0073, abs=5e-5)
    assert judge(BY_NUMBER["C2"], [GOOD_COUNT]).measured == 90.06


def test_c17_holds_with_a_cpu_and_a_gpu():
    assert status("C17", GOOD_SPEED, GOOD_GPU) is Status.HOLDS


def test_c17_on_a_cpu_alone_holds_in_direction_and_names_the_gpu():
    verdict = judge(BY_NUMBER["C17"], [GOOD_SPEED])
    assert verdict.status is Status.HOLDS_IN_DIRECTION
    assert verdict.measured == 19.0
    assert "speed on a GPU is not measured: needs a GPU" in verdict.reason


@pytest.mark.parametrize(
    "change",
    [
        {"speedups": (0.5, 0.6, 0.55)},
        {"speedup_by_case": {"576×576, 1 row": 0.8, "4096×4096, 1 row": 19.0}},
        {"largest_error": 1e-4},
        {"weights_fp32_over_packed": 31.0},
        {"moved_bf16_over_packed": 0.9},
    ],
)
def test_one_bad_number_on_a_cpu_fails_c17(change):
    assert status("C17", replace(GOOD_SPEED, **change), GOOD_GPU) is Status.FAILS


@pytest.mark.parametrize("change", [{"speedup_by_case": {"4096×4096, 1 row": 0.9}}, {"largest_error": 0.01}])
def test_one_bad_number_on_a_gpu_fails_c17(change):
    assert status("C17", GOOD_SPEED, replace(GOOD_GPU, **change)) is Status.FAILS


def test_repetitions_that_straddle_equality_leave_c17_open():
    assert status("C17", replace(GOOD_SPEED, speedups=(0.5, 1.0, 2.5)), GOOD_GPU) is Status.INCONCLUSIVE


def test_of_several_runs_the_interval_is_over_runs():
    verdict = judge(BY_NUMBER["C17"], [GOOD_SPEED, replace(GOOD_SPEED, speedups=(30.0, 30.0, 10.0)), GOOD_SPEED])
    assert "mean of 3 runs" in verdict.reason
    assert verdict.measured == pytest.approx((19 + 30 + 19) / 3)
