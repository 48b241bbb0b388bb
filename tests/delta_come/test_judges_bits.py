"""The judges of how bits are chosen, on made-up runs: when each verdict is given."""

from dataclasses import replace

import pytest

from lib.delta_come import judges_bits
from lib.delta_come.claims import CLAIMS
from lib.delta_come.metrics import ChooseTheBits
from lib.ledger import Status, judge

BY_NUMBER = {claim.id.removeprefix("delta_come."): claim for claim in CLAIMS}
PLANS = {"16": 0.9, "8": 0.6, "4": 0.45, "3": 0.4, "2": 0.8, "8+3": 0.3, "4+2": 0.5, "8+3+2": 0.2, "8+4+2": 0.25}


def run(seed=0, factor=1.0, **changes):
    """A run in which everything is as the paper has it; `factor` moves all numbers alike."""
    plans = {name: factor * value for name, value in PLANS.items()}
    good = ChooseTheBits(
        model="tiny",
        model_parameters=100,
        pair="tiny llama",
        task="chains",
        regime="large",
        shape="llama",
        seed=seed,
        scales="rank",
        ratio=1 / 16,
        chosen_by=plans,
        divergence=plans | {"base": 5.0},
        output_error=plans,
        true_bytes=dict.fromkeys(plans, 1000.0),
        chosen=("greedy: 3:rest",),
        found_divergence={"greedy": 0.2, "genetic": 0.15},
        found_perplexity={"base": 3.0, "fine-tune": 9.0, "greedy": 8.0, "genetic": 7.0 + seed / 10},
        found_accuracy={"base": 0.1, "fine-tune": 0.9, "greedy": 0.5, "genetic": 0.6 + seed / 100},
        compressions={"greedy": 9, "genetic": 30},
        seconds={"greedy": 1.0, "genetic": 4.0},
    )
    return replace(good, **changes)


def changed(of, names, **values):
    """The run with other numbers for some plans."""
    values = {name.replace("_", "+").strip("w"): value for name, value in values.items()}
    return replace(of, **{name: getattr(of, name) | values for name in names})


def seeds(make=run, count=3):
    return [make(seed=seed) for seed in range(count)]


def verdict(number, runs):
    return judge(BY_NUMBER[number], runs)


@pytest.mark.parametrize("number", ["C6", "C7", "C13"])
def test_runs_as_the_paper_has_them_hold(number):
    assert verdict(number, seeds()).status is Status.HOLDS


def test_a_double_ahead_of_all_triples_fails_c6():
    runs = [changed(each, ("chosen_by", "divergence"), w8_3=0.1) for each in seeds()]
    assert verdict("C6", runs).status is Status.FAILS


def test_errors_of_outputs_in_another_order_than_the_kl_fail_c6():
    runs = [changed(each, ("output_error",), w8_3=0.1) for each in seeds()]
    assert verdict("C6", runs).status is Status.FAILS


def test_the_best_plan_is_chosen_on_other_items_than_it_is_reported_on():
    lucky = changed(run(), ("divergence",), w8_4_2=0.01)
    assert judges_bits.best_of(lucky, 3) == "8+3+2"


def test_a_run_without_plans_of_two_precisions_has_no_best_one():
    assert judges_bits.best_of(replace(run(), chosen_by={"3": 0.1}), 2) is None


def test_both_ways_of_storing_scales_have_to_hold():
    rows = [changed(replace(each, scales="row"), ("chosen_by", "divergence"), w8_3=0.1) for each in seeds()]
    judged = verdict("C6", [*seeds(), *rows])
    assert judged.status is Status.FAILS
    assert "scales a rank" in judged.reason
    assert "scales a row" in judged.reason


def test_two_bits_ahead_of_three_fail_c7():
    assert verdict("C7", [changed(each, ("divergence",), w2=0.1) for each in seeds()]).status is Status.FAILS


def test_four_bits_a_little_ahead_leave_c7_its_direction():
    close = [changed(each, ("divergence",), w4=0.39) for each in seeds()]
    assert verdict("C7", close).status is Status.HOLDS_IN_DIRECTION


def test_four_bits_far_ahead_fail_c7():
    assert verdict("C7", [changed(each, ("divergence",), w4=0.2) for each in seeds()]).status is Status.FAILS


def test_a_ratio_that_goes_either_way_is_inconclusive():
    runs = [changed(each, ("divergence",), w2=(0.1, 1.6, 0.3)[each.seed]) for each in seeds()]
    assert verdict("C7", runs).status is Status.INCONCLUSIVE


def test_ratios_are_averaged_as_logarithms():
    assert judges_bits.ratio_estimate([0.5, 2.0]).value == pytest.approx(1.0)


def test_a_search_that_lowers_perplexity_and_score_fails_c13():
    runs = [replace(each, found_accuracy=each.found_accuracy | {"genetic": 0.3}) for each in seeds()]
    assert verdict("C13", runs).status is Status.FAILS


def test_a_search_without_scores_is_judged_by_its_kl():
    runs = [replace(each, found_accuracy={}) for each in seeds()]
    assert verdict("C13", runs).status is Status.HOLDS
    assert "recovered" not in verdict("C13", runs).reason
    lost = [replace(each, found_divergence={"greedy": 0.2, "genetic": 0.4}) for each in runs]
    assert verdict("C13", lost).status is Status.FAILS


def test_what_a_search_cost_is_told_and_does_not_decide():
    judged = verdict("C13", [replace(each, compressions={"greedy": 9, "genetic": 6}) for each in seeds()])
    assert judged.status is Status.HOLDS
    assert "0.6667 times the greedy choice's compressions" in judged.reason


def test_a_run_without_the_search_leaves_c13_unmeasured():
    assert verdict("C13", [replace(run(), compressions={"greedy": 9})]).status is Status.NOT_MEASURED


def test_nothing_is_recovered_where_nothing_was_gained():
    assert judges_bits.recovery(replace(run(), found_accuracy={"base": 0.9, "fine-tune": 0.9, "x": 0.9}), "x") is None


def test_a_pair_without_a_gain_is_left_out_of_c13_by_name():
    flat = run(
        base="smollm2-135m-instruct", found_accuracy={"base": 0.5, "fine-tune": 0.51, "greedy": 0.5, "genetic": 0.4}
    )
    found = verdict("C13", [*seeds(), flat])
    assert found.status is Status.HOLDS
    assert "left out, no gain to recover: smollm2-135m-instruct chains large (seed 0)" in found.reason
    assert verdict("C13", [flat]).status is Status.NOT_MEASURED


@pytest.mark.parametrize("number", ["C6", "C7", "C13"])
def test_one_base_decides_against_any_number_of_runs_of_another(number):
    bad = changed(run(base="smollm2-135m-instruct"), ("chosen_by", "divergence"), w8_3=0.1, w2=0.1)
    bad = replace(bad, found_perplexity=bad.found_perplexity | {"genetic": 8.5})
    found = verdict(number, [*seeds(count=9), bad])
    assert found.status is Status.FAILS
    assert "smollm2-135m-instruct chains large" in found.reason
    assert verdict(number, [bad]).status is Status.FAILS
    assert verdict(number, [*seeds(), run(base="smollm2-135m-instruct")]).status is Status.HOLDS
