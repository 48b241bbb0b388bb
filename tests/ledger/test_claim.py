"""Claims, parts and verdicts check themselves."""

import math

import pytest

from lib.ledger.claim import Claim, Part, Status, Verdict
from lib.ledger.metrics import Metrics

PART = Part("all", None, None, "needs a GPU")
GOOD = {
    "id": "toy.C1",
    "sentence": "It works.",
    "source": "Table 1",
    "paper_value": 1.0,
    "unit": "%",
    "paper_scale": "7B",
    "scale": "135M",
    "parts": (PART,),
}


def test_a_claim_knows_its_room():
    assert Claim(**GOOD).room == "toy"


@pytest.mark.parametrize(
    ("field", "wrong", "says"),
    [
        ("id", "C1", "'onebit.C1'"),
        ("id", "toy.1", "'onebit.C1'"),
        ("sentence", " ", "empty sentence"),
        ("source", "", "empty source"),
        ("scale", "", "empty scale"),
        ("parts", (), "at least one Part"),
        ("parts", PART, "tuple of at least one Part"),
        ("parts", (PART, PART), "two parts of one name"),
        ("paper_value", math.nan, "not finite"),
        ("paper_value", (1.0, math.inf), "not finite"),
    ],
)
def test_a_malformed_claim_says_what_is_wrong(field, wrong, says):
    with pytest.raises(ValueError, match=says):
        Claim(**GOOD | {field: wrong})


@pytest.mark.parametrize("wrong", [(Metrics, None), (None, lambda metrics: None)])
def test_a_part_needs_metrics_and_a_judge_or_neither(wrong):
    with pytest.raises(ValueError, match="needs both"):
        Part("a", *wrong)


def test_a_part_that_is_not_measured_needs_a_reason():
    with pytest.raises(ValueError, match="give the reason"):
        Part("a", None, None)


@pytest.mark.parametrize(("measured", "interval"), [(math.nan, None), (1.0, (0.0, math.inf)), (1.0, (2.0, 1.0))])
def test_a_verdicts_numbers_are_finite_and_in_order(measured, interval):
    with pytest.raises(ValueError, match=r"finite|from low to high"):
        Verdict(Status.HOLDS, "", measured, interval)


def test_a_status_can_be_written_in_words():
    assert Verdict("holds in direction", "").status is Status.HOLDS_IN_DIRECTION
