"""The judges give each verdict when the evidence calls for it."""

from dataclasses import replace

import pytest

from lib.ledger import Status, judge
from lib.onebit.claims import CLAIMS
from lib.onebit.metrics import CountTheBits, SeparateSignAndValue

BY_NUMBER = {claim.id.removeprefix("onebit."): claim for claim in CLAIMS}
MEASURED = ("C1", "C2", "C3", "C4", "C5")

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
