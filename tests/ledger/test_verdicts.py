"""From numbers to verdicts, and from parts to a claim."""

from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.ledger.claim import Claim, Part, Status, Verdict
from lib.ledger.intervals import Estimate, exact, over_seeds
from lib.ledger.metrics import Metrics
from lib.ledger.verdicts import JudgeError, above, agrees, all_of, below, judge, no_violations, not_measured

unhurried = settings(deadline=None, max_examples=50)  # a busy machine is no failure


HOLDS, DIRECTION, FAILS, UNSURE, MISSING = (
    Status.HOLDS,
    Status.HOLDS_IN_DIRECTION,
    Status.FAILS,
    Status.INCONCLUSIVE,
    Status.NOT_MEASURED,
)
WORST_FIRST = [FAILS, UNSURE, DIRECTION, HOLDS]


@dataclass(frozen=True)
class One(Metrics):
    error: float


@dataclass(frozen=True)
class Other(Metrics):
    error: float


def estimate(low, high):
    return Estimate((low + high) / 2, (low, high), "a test")


def part(name, verdict):
    return Part(name, One, lambda metrics: verdict)


def claim(*parts):
    return Claim("toy.C1", "A claim.", "Table 1", None, "", "large", "small", parts)


EVIDENCE = [One("m", 1, 0.5)]


@pytest.mark.parametrize(
    ("low", "high", "status"),
    [(0.1, 0.2, HOLDS), (0.4, 0.6, UNSURE), (0.6, 0.8, DIRECTION), (0.8, 1.2, UNSURE), (1.1, 1.2, FAILS)],
)
def test_below_a_threshold_with_an_interval(low, high, status):
    assert below(estimate(low, high), 0.5, no_effect=1.0).status is status


@pytest.mark.parametrize(
    ("low", "high", "status"),
    [(1.1, 1.2, HOLDS), (0.8, 1.2, UNSURE), (0.6, 0.8, DIRECTION), (0.4, 0.6, UNSURE), (0.1, 0.2, FAILS)],
)
def test_above_a_threshold_with_an_interval(low, high, status):
    assert above(estimate(low, high), 1.0, no_effect=0.5).status is status


@pytest.mark.parametrize(
    ("low", "high", "status"),
    [
        (9.5, 10.5, HOLDS),
        (9, 11, HOLDS),
        (8, 9.5, UNSURE),
        (12, 13, DIRECTION),
        (3, 4, DIRECTION),
        (-1, 4, UNSURE),
        (-2, -1, FAILS),
    ],
)
def test_agreement_with_the_papers_number(low, high, status):
    assert agrees(estimate(low, high), 10, tolerance=1, no_effect=0).status is status


@pytest.mark.parametrize("value", [0.5, 0.6])
def test_without_direction_what_is_not_below_fails(value):
    assert below(exact(value), 0.5).status is FAILS


def test_a_number_on_the_threshold_is_not_above_it():
    assert above(exact(0.5), 0.5).status is FAILS


def test_the_very_number_is_asked_for_without_tolerance():
    assert agrees(exact(3), 3, 0).status is HOLDS
    assert agrees(exact(3 + 1e-12), 3, 0).status is FAILS


def test_one_seed_has_no_interval_and_the_reason_says_so():
    verdict = below(over_seeds([0.3]), 0.5)
    assert (verdict.status, verdict.interval) == (HOLDS, None)
    assert "one seed, so no interval" in verdict.reason


def test_a_verdict_shows_its_number_and_its_interval():
    verdict = below(estimate(0.1, 0.3), 0.5)
    assert (verdict.measured, verdict.interval) == (0.2, (0.1, 0.3))
    assert "0.2 (0.1 to 0.3) is below 0.5" in verdict.reason


def test_agreement_shows_the_digits_that_decide():
    assert "1.00732 is 1.0073 within 5e-05" in agrees(exact(1.00732), 1.0073, 5e-5).reason


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: below(exact(1), 1.0, no_effect=0.5),
        lambda: above(exact(1), 1.0, no_effect=1.5),
        lambda: agrees(exact(1), 1.0, 0.5, no_effect=0.8),
        lambda: agrees(exact(1), 1.0, -0.5),
    ],
)
def test_thresholds_that_contradict_each_other_are_refused(wrong):
    with pytest.raises(ValueError, match="no_effect"):
        wrong()


@unhurried
@given(st.floats(-10, 10), st.floats(0, 5), st.floats(0, 5))
def test_a_wider_interval_never_turns_a_verdict_around(value, width, more):
    narrow = below(estimate(value - width, value + width), 0.0, no_effect=2.0).status
    wide = below(estimate(value - width - more, value + width + more), 0.0, no_effect=2.0).status
    assert wide in (narrow, UNSURE)


def test_one_violation_refutes():
    assert no_violations(1, 210, "matrices").status is FAILS
    verdict = no_violations(0, 210, "matrices")
    assert (verdict.status, verdict.measured) == (HOLDS, 0.0)
    assert "0 violations in 210 matrices" in verdict.reason and "1.796 %" in verdict.reason


def test_nothing_looked_at_is_not_measured():
    assert no_violations(0, 0, "matrices").status is MISSING


def test_a_claims_only_part_gives_its_verdict():
    verdict = Verdict(HOLDS, "because", 1.0, (0.5, 1.5))
    assert judge(claim(part("a", verdict)), EVIDENCE) == verdict


def test_the_worst_measured_part_decides_and_gives_the_number():
    parts = part("a", Verdict(HOLDS, "fine", 1.0)), part("b", Verdict(FAILS, "bad", 2.0))
    verdict = judge(claim(*parts), EVIDENCE)
    assert (verdict.status, verdict.measured, verdict.reason) == (FAILS, 2.0, "a: fine; b: bad")


def test_a_part_that_is_not_measured_caps_the_verdict_and_is_named():
    verdict = judge(claim(part("a", Verdict(HOLDS, "fine")), Part("b", None, None, "needs a GPU")), EVIDENCE)
    assert verdict.status is DIRECTION
    assert "b is not measured: needs a GPU" in verdict.reason


def test_a_claim_without_any_measured_part_gives_the_reasons():
    verdict = judge(claim(Part("a", None, None, "needs a GPU"), Part("b", One, not_measured)), [])
    assert verdict.status is MISSING
    assert "needs a GPU" in verdict.reason and "no record yet" in verdict.reason


def test_a_part_says_why_it_has_no_record_yet():
    assert judge(claim(Part("a", One, not_measured, "needs the profile gpu")), []).reason == "needs the profile gpu"


def test_each_part_gets_the_metrics_of_its_own_type():
    seen = []
    watching = Part("a", Other, lambda metrics: seen.append(metrics) or not_measured("seen"))
    others = [Other("m", 1, 0.1), Other("m", 1, 0.2)]
    judge(claim(watching), [*EVIDENCE, *others])
    assert seen == [others]


statuses = st.lists(st.sampled_from([*WORST_FIRST, MISSING]), min_size=1, max_size=5)


def combined(found):
    return judge(claim(*(part(str(index), Verdict(each, "r")) for index, each in enumerate(found))), EVIDENCE).status


def rank(status):
    return WORST_FIRST.index(status)


@unhurried
@given(statuses)
def test_no_claim_is_better_than_any_of_its_measured_parts(found):
    measured = [rank(each) for each in found if each is not MISSING]
    verdict = combined(found)
    assert verdict is MISSING if not measured else rank(verdict) <= min(measured)


@unhurried
@given(statuses, st.data())
def test_a_worse_part_never_makes_a_better_claim(found, data):
    place = data.draw(st.integers(0, len(found) - 1))
    if found[place] is MISSING or found[place] is FAILS:
        return
    worse = data.draw(st.sampled_from(WORST_FIRST[: rank(found[place])]))
    assert rank(combined([*found[:place], worse, *found[place + 1 :]])) <= rank(combined(found))


@unhurried
@given(statuses)
def test_a_claim_holds_only_if_every_part_is_measured_and_holds(found):
    assert (combined(found) is HOLDS) == all(each is HOLDS for each in found)


@unhurried
@given(st.permutations([HOLDS, FAILS, MISSING, DIRECTION]))
def test_the_order_of_the_parts_does_not_matter(found):
    assert combined(found) is FAILS


def test_verdicts_are_combined_inside_a_judge_in_the_same_way():
    verdict = all_of(self_attention=Verdict(HOLDS, "fine"), mlp=Verdict(UNSURE, "close"))
    assert (verdict.status, verdict.reason) == (UNSURE, "self attention: fine; mlp: close")


def test_a_judge_that_raises_is_named():
    broken = Part("the error", One, lambda metrics: metrics[7])
    with pytest.raises(JudgeError, match=r"toy\.C1, the error: the judge raised IndexError"):
        judge(claim(broken), EVIDENCE)


def test_a_judge_that_returns_no_verdict_is_named():
    with pytest.raises(JudgeError, match="returned 'holds' instead of a Verdict"):
        judge(claim(Part("a", One, lambda metrics: "holds")), EVIDENCE)
