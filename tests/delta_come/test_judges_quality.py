"""The judges of compressed fine-tunes, on made-up runs: when each verdict is given."""

from dataclasses import replace

import pytest

from lib.ledger import Status
from tests.delta_come.made_up_runs import BOTH_TASKS, OTHERS, changed, run, seeds, status, verdict

OTHER_BASES = [*seeds(base="grouped"), *seeds(base="qwen2")]


@pytest.mark.parametrize("number", ["C2", "C3", "C4", "C8", "C11", "C12"])
@pytest.mark.parametrize("runs", [[run()], seeds(), BOTH_TASKS], ids=["one seed", "seeds", "two tasks"])
def test_runs_that_do_all_they_should_hold(number, runs):
    assert status(number, runs) is Status.HOLDS


@pytest.mark.parametrize("number", ["C2", "C3", "C4", "C5", "C8", "C9", "C11", "C12"])
def test_runs_at_another_ratio_are_no_measurement(number):
    assert status(number, [run(ratio=1 / 8)]) is Status.NOT_MEASURED


@pytest.mark.parametrize("number", ["C2", "C3", "C4", "C5", "C8", "C9", "C10", "C11", "C12"])
def test_without_records_the_reason_says_what_is_missing(number):
    found = verdict(number, [])
    assert found.status is Status.NOT_MEASURED
    assert "needs" in found.reason


def test_a_recovery_below_95_percent_fails_c2():
    assert status("C2", seeds(recovery=0.93)) is Status.FAILS


def test_an_interval_across_95_percent_leaves_c2_open():
    one = run(recovery=0.955)
    assert status("C2", [one]) is Status.INCONCLUSIVE


def test_kl_above_a_tenth_of_the_bases_fails_c2_though_everything_is_recovered():
    assert status("C2", [changed(each, "kl", delta_come=0.3) for each in seeds(recovery=1.0)]) is Status.FAILS


def test_one_pair_that_misses_fails_c2_for_all():
    assert status("C2", [*seeds(), *seeds(base="grouped", recovery=0.5)]) is Status.FAILS


def test_the_reason_begins_with_what_each_base_shows():
    found = verdict("C2", [*seeds(base="grouped", recovery=0.5), *seeds(base="smollm2-135m-instruct")])
    assert found.reason.startswith("tiny grouped fails, smollm2-135m-instruct holds. grouped chains")


@pytest.mark.parametrize(("number", "method"), [("C3", "low_rank"), ("C4", "bitdelta"), ("C4", "bitdelta_trained")])
def test_a_method_that_is_ahead_of_ours_fails_the_claim(number, method):
    runs = [changed(each, "lead", **{method: -0.2}) for each in seeds()]
    assert status(number, runs) is Status.FAILS


@pytest.mark.parametrize(("number", "method"), [("C3", "low_rank"), ("C4", "bitdelta_trained")])
def test_a_method_with_less_kl_fails_the_claim_though_it_answers_worse(number, method):
    assert status(number, [changed(each, "kl_lead", **{method: -0.1}) for each in seeds()]) is Status.FAILS


def test_a_lead_within_its_interval_leaves_c3_open():
    assert status("C3", [run(ahead=0.03)]) is Status.INCONCLUSIVE


def test_on_a_task_of_form_no_interval_is_asked_for():
    close = [
        run(task="records", recovery=0.9, seed=seed, ahead=ahead) for seed, ahead in enumerate((0.01, -0.01, 0.01))
    ]
    assert status("C3", close) is Status.HOLDS
    assert status("C3", seeds(task="records", recovery=0.9, ahead=-0.01)) is Status.FAILS


@pytest.mark.parametrize("number", ["C3", "C4"])
@pytest.mark.parametrize("recovery", [0.99, 0.01, 0.7], ids=["everything", "nothing", "the same"])
def test_where_r_cannot_decide_the_kl_does_and_gives_the_direction(number, recovery):
    tied = seeds(recovery=recovery, ahead=0.0)
    found = verdict(number, [*seeds(base="grouped"), *tied])
    assert found.status is Status.HOLDS_IN_DIRECTION
    assert "R cannot decide" in found.reason
    behind = [changed(each, "kl_lead", low_rank=-0.1, bitdelta=-0.1, bitdelta_trained=-0.1) for each in tied]
    assert status(number, behind) is Status.FAILS


def test_a_tie_whose_kl_is_within_its_interval_is_inconclusive():
    tied = run(ahead=0.0, half=0.0, kl_lead_low=dict.fromkeys(OTHERS, -0.1))
    assert status("C3", [tied]) is Status.INCONCLUSIVE


def test_a_single_answer_behind_of_many_is_no_failure():
    one = run(recovery=0.9, ahead=-0.002)
    assert status("C3", [replace(one, lead_high=dict.fromkeys(OTHERS, 0.0))]) is Status.INCONCLUSIVE


def test_shown_to_be_behind_is_no_tie_though_both_recover_everything():
    assert status("C3", [run(recovery=0.985, ahead=-0.015, half=0.01)]) is Status.FAILS


def test_bitdelta_without_distilled_scales_alone_gives_c4_no_more_than_the_direction():
    without = [replace(each, lead={name: each.lead[name] for name in ("low_rank", "bitdelta")}) for each in seeds()]
    found = verdict("C4", without)
    assert found.status is Status.HOLDS_IN_DIRECTION
    assert "needs bitdelta_trained" in found.reason


def test_a_larger_lead_on_the_right_result_than_on_form_holds_c5():
    assert status("C5", BOTH_TASKS) is Status.HOLDS


def test_a_larger_lead_on_form_fails_c5():
    assert status("C5", [*seeds(ahead=0.1), *seeds(task="records", ahead=0.3)]) is Status.FAILS


def test_equal_leads_of_one_seed_leave_c5_open():
    assert status("C5", [run(ahead=0.31), run(task="records", ahead=0.3)]) is Status.INCONCLUSIVE


def test_c5_is_measured_in_points_of_the_score():
    runs = [run(finetuned_accuracy=0.5), run(task="records", ahead=0.1)]
    assert verdict("C5", runs).measured == pytest.approx(0.3 * 50 - 0.1 * 100)


def test_behind_on_the_right_result_fails_c5_though_further_behind_on_form():
    assert status("C5", [*seeds(ahead=-0.1), *seeds(task="records", ahead=-0.3)]) is Status.FAILS


def test_a_lead_on_form_that_is_not_about_nil_leaves_c5_its_direction():
    found = verdict("C5", [*seeds(), *seeds(task="records", ahead=0.05)])
    assert found.status is Status.HOLDS_IN_DIRECTION
    assert "not shown to be about nil on form" in found.reason


def test_a_task_of_which_both_recover_everything_leaves_c5_open():
    assert status("C5", [*seeds(ahead=0.005), *seeds(task="records", ahead=0.0)]) is Status.INCONCLUSIVE


def test_one_task_is_no_measurement_of_c5():
    assert status("C5", seeds()) is Status.NOT_MEASURED


def test_two_other_bases_ahead_of_both_hold_c9():
    assert status("C9", OTHER_BASES) is Status.HOLDS


@pytest.mark.parametrize(
    "base", ["llama", "tiny llama", "smollm2-135m-instruct", "HuggingFaceTB/SmolLM2-135M-Instruct"]
)
def test_the_bases_of_the_other_claims_do_not_count_for_c9(base):
    found = verdict("C9", [*seeds(base=base), *OTHER_BASES[:3]])
    assert found.status is Status.NOT_MEASURED
    assert "there are: grouped" in found.reason
    assert status("C9", [*seeds(base=base, ahead=-0.2), *OTHER_BASES]) is Status.HOLDS


def test_a_base_on_which_bitdelta_is_ahead_fails_c9():
    behind = [changed(each, "lead", bitdelta_trained=-0.2) for each in seeds(base="mistral")]
    assert status("C9", [*OTHER_BASES, *behind]) is Status.FAILS


def test_other_bases_on_which_r_cannot_decide_leave_c9_its_direction():
    assert status("C9", [*OTHER_BASES, *seeds(base="mistral", ahead=0.0)]) is Status.HOLDS_IN_DIRECTION


@pytest.mark.parametrize("number", ["C2", "C3", "C4", "C11", "C12"])
def test_a_pair_without_a_gain_is_left_out_by_name(number):
    bad = [replace(each, base="mistral") for each in seeds(recovery=0.0, ahead=-0.5, late=-0.5, extra=0.5)]
    flat = [replace(each, finetuned_accuracy=0.05, kl={}, lead={}, recovery={}) for each in bad]
    found = verdict(number, [*seeds(), *flat])
    assert found.status is Status.HOLDS
    assert "left out, no gain to recover: mistral chains large (seed 0, 1, 2)" in found.reason
    assert status(number, flat) is Status.NOT_MEASURED


def test_a_pair_without_a_gain_is_no_base_of_c9():
    flat = [replace(each, finetuned_accuracy=0.05) for each in OTHER_BASES[:3]]
    found = verdict("C9", [*flat, *OTHER_BASES[3:]])
    assert found.status is Status.NOT_MEASURED
    assert "grouped chains large" in found.reason


def test_a_saturated_task_is_no_side_of_c5():
    flat = [replace(each, base_accuracy=0.95) for each in seeds(task="records", ahead=0.05)]
    assert status("C5", [*seeds(), *flat]) is Status.NOT_MEASURED


def test_a_pair_whose_answers_nobody_can_judge_is_left_out_of_shares_but_not_of_activations():
    own = replace(run(base="mistral"), task="", base_accuracy=None, finetuned_accuracy=None, recovery={}, lead={})
    assert status("C3", [own]) is Status.NOT_MEASURED
    assert status("C8", [own]) is Status.HOLDS


TINY = [*BOTH_TASKS, *seeds(task="brackets"), *OTHER_BASES]
SMOLLM2 = [
    run(base="smollm2-135m-instruct", task="arithmetic", half=0.15),
    run(base="smollm2-135m-instruct", task="cards", style=True, ahead=0.0, half=0.05),
]


def without_trained_scales(of):
    leads = {name: lead for name, lead in of.lead.items() if name != "bitdelta_trained"}
    return replace(of, lead=leads, recovery={name: R for name, R in of.recovery.items() if name in {of.ours, *leads}})


@pytest.mark.parametrize(
    ("number", "tiny", "smollm2", "both"),
    [
        ("C2", Status.HOLDS, Status.HOLDS, Status.HOLDS),
        ("C3", Status.HOLDS, Status.HOLDS_IN_DIRECTION, Status.HOLDS_IN_DIRECTION),
        ("C4", Status.HOLDS, Status.HOLDS_IN_DIRECTION, Status.HOLDS_IN_DIRECTION),
        ("C5", Status.HOLDS, Status.HOLDS_IN_DIRECTION, Status.HOLDS_IN_DIRECTION),
        ("C9", Status.HOLDS, Status.NOT_MEASURED, Status.HOLDS),
    ],
)
def test_tiny_pairs_and_smollm2_are_judged_each_and_together(number, tiny, smollm2, both):
    large = [without_trained_scales(each) for each in SMOLLM2]
    assert [status(number, runs) for runs in (TINY, large, [*TINY, *large])] == [tiny, smollm2, both]
