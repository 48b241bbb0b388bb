"""The judges of compressed fine-tunes, on made-up runs: when each verdict is given."""

from dataclasses import replace

import pytest

from lib.delta_come.claims import CLAIMS
from lib.delta_come.metrics import CompareAtEqualBytes, CompareWithLora
from lib.ledger import Status, judge

BY_NUMBER = {claim.id.removeprefix("delta_come."): claim for claim in CLAIMS}
OTHERS = ("low_rank", "bitdelta", "bitdelta_trained")
PLACES = [f"{third} {columns}" for third in ("low", "middle", "high") for columns in ("all", "outliers")]
ERRORS = {"delta_come": 1.0, "gptq3": 2.0, "bitdelta_trained": 4.0, "low_rank": 5.0}


def ends(values, half=0.05):
    return {
        "low": {name: value - half for name, value in values.items()},
        "high": {name: value + half for name, value in values.items()},
    }


def run(base="wide", task="chains", seed=0, recovery=0.99, ahead=0.3, late=0.2, extra=0.0, half=0.04, **changes):
    """A run in which 8+3+2 does all that it claims."""
    R = {"delta_come": recovery} | dict.fromkeys(OTHERS, recovery - ahead)
    leads, lates = dict.fromkeys(OTHERS, ahead), dict.fromkeys(OTHERS, late)
    good = CompareAtEqualBytes(
        model="tiny pairs",
        model_parameters=300,
        base=base,
        task=task,
        style=task == "records",
        regime="large",
        seed=seed,
        items=500,
        ratio=1 / 16,
        budget=1000,
        ours="delta_come",
        base_accuracy=0.0,
        finetuned_accuracy=1.0,
        base_kl=2.0,
        recovery=R,
        recovery_low=ends(R, 0.01)["low"],
        recovery_high=ends(R, 0.01)["high"],
        kl={"delta_come": 0.02} | dict.fromkeys(OTHERS, 0.5),
        lead=leads,
        lead_low=ends(leads, half)["low"],
        lead_high=ends(leads, half)["high"],
        kl_lead=dict.fromkeys(OTHERS, 0.48),
        kl_lead_low=dict.fromkeys(OTHERS, 0.4),
        kl_lead_high=dict.fromkeys(OTHERS, 0.5),
        activation={f"{method} {place}": error for method, error in ERRORS.items() for place in PLACES},
        late_lead=lates,
        late_lead_low=ends(lates, half)["low"],
        late_lead_high=ends(lates, half)["high"],
        extra_drop=extra,
        extra_drop_low=extra - 0.02,
        extra_drop_high=extra + 0.02,
        cpu_seconds={},
    )
    return replace(good, **changes)


def seeds(**changes):
    """Three seeds that agree to the second digit."""
    made = [run(seed=seed, **changes) for seed in range(3)]
    return [
        replace(made[0], recovery=made[0].recovery | {"delta_come": made[0].recovery["delta_come"] + 0.001}),
        *made[1:],
    ]


def changed(of, name, **values):
    return replace(of, **{name: getattr(of, name) | values})


def lora(seed=0, ahead=0.3, shared=0.2, **changes):
    leads = {"delta_come": ahead, "delta_come_shared": shared}
    good = CompareWithLora(
        model="tiny pairs",
        model_parameters=300,
        base="wide",
        task="chains",
        regime="large",
        seed=seed,
        items=500,
        ratio=1 / 16,
        budget=1000,
        ours="delta_come",
        base_accuracy=0.0,
        finetuned_accuracy=1.0,
        base_kl=2.0,
        outside_bytes=100.0,
        lead=leads,
        lead_low=ends(leads)["low"],
        lead_high=ends(leads)["high"],
        learning_rate=1e-2,
        mean_rank=4.0,
        steps=100,
        cpu_seconds={},
    )
    return replace(good, **changes)


def verdict(number, runs):
    return judge(BY_NUMBER[number], runs)


def status(number, runs):
    return verdict(number, runs).status


BOTH_TASKS = [*seeds(), *seeds(task="records", ahead=0.05)]
THREE_BASES = [*seeds(), *seeds(base="grouped"), *seeds(base="qwen2")]


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


@pytest.mark.parametrize(("number", "method"), [("C3", "low_rank"), ("C4", "bitdelta"), ("C4", "bitdelta_trained")])
def test_a_method_that_is_ahead_of_ours_fails_the_claim(number, method):
    runs = [changed(each, "lead", **{method: -0.2}) for each in seeds()]
    assert status(number, runs) is Status.FAILS


@pytest.mark.parametrize(("number", "method"), [("C3", "low_rank"), ("C4", "bitdelta_trained")])
def test_a_method_with_less_kl_fails_the_claim_though_it_answers_worse(number, method):
    assert status(number, [changed(each, "kl_lead", **{method: -0.1}) for each in seeds()]) is Status.FAILS


def test_a_lead_within_its_interval_leaves_c3_open():
    assert status("C3", [run(ahead=0.03)]) is Status.INCONCLUSIVE


def test_on_a_task_of_form_a_tie_is_enough_and_no_interval_is_asked_for():
    assert status("C3", seeds(task="records", ahead=0.0)) is Status.HOLDS
    assert status("C3", seeds(task="records", ahead=-0.01)) is Status.FAILS


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


def test_one_task_is_no_measurement_of_c5():
    assert status("C5", seeds()) is Status.NOT_MEASURED


def test_an_order_broken_in_one_place_fails_c8_and_names_it():
    runs = [changed(each, "activation", **{"delta_come middle outliers": 3.0}) for each in seeds()]
    found = verdict("C8", runs)
    assert found.status is Status.FAILS
    assert found.measured == 1.5
    assert "middle outliers" in found.reason


@pytest.mark.parametrize("method", ["bitdelta_trained", "low_rank"])
def test_one_precision_behind_another_method_fails_c8(method):
    runs = [changed(each, "activation", **{f"{method} low all": 1.5}) for each in seeds()]
    assert status("C8", runs) is Status.FAILS


def test_three_precisions_are_held_against_one_of_their_own_storage():
    errors = {"delta_come_folded": 1.0, "gptq3_folded": 2.0, "gptq3": 0.5, "bitdelta_trained": 4.0, "low_rank": 5.0}
    activation = {f"{method} {place}": error for method, error in errors.items() for place in PLACES}
    runs = seeds(ours="delta_come_folded", activation=activation)
    assert status("C8", runs) is Status.HOLDS
    ahead = {f"gptq3_folded {place}": 0.5 for place in PLACES}
    assert status("C8", [changed(each, "activation", **ahead) for each in runs]) is Status.FAILS


def test_runs_without_activations_are_no_measurement_of_c8():
    assert status("C8", seeds(activation={})) is Status.NOT_MEASURED


def test_three_bases_ahead_of_both_hold_c9():
    assert status("C9", THREE_BASES) is Status.HOLDS


def test_two_bases_are_no_measurement_of_c9_and_are_named():
    found = verdict("C9", THREE_BASES[:6])
    assert found.status is Status.NOT_MEASURED
    assert "grouped, wide" in found.reason


def test_a_base_on_which_bitdelta_is_ahead_fails_c9():
    behind = [changed(each, "lead", bitdelta_trained=-0.2) for each in seeds(base="mistral")]
    assert status("C9", [*THREE_BASES, *behind]) is Status.FAILS


def test_ahead_of_the_lora_with_either_embedding_holds_c10():
    assert status("C10", [lora(0), lora(1, ahead=0.31), lora(2, ahead=0.29)]) is Status.HOLDS


def test_ahead_of_the_lora_with_its_own_embeddings_only_holds_in_direction():
    found = verdict("C10", [lora(seed, shared=-0.1) for seed in range(2)])
    assert found.status is Status.HOLDS_IN_DIRECTION
    assert "with the base's embeddings" in found.reason


def test_a_lora_at_another_ratio_is_no_measurement():
    assert status("C10", [lora(ratio=1 / 4)]) is Status.NOT_MEASURED


def test_behind_the_lora_fails_c10():
    assert status("C10", [lora(ahead=-0.3)]) is Status.FAILS


def test_a_lead_over_the_lora_within_its_interval_leaves_c10_open():
    assert status("C10", [lora(ahead=0.01)]) is Status.INCONCLUSIVE


def test_a_thirtysecond_behind_bitdelta_at_a_sixteenth_fails_c11():
    assert status("C11", [changed(each, "late_lead", bitdelta_trained=-0.2) for each in seeds()]) is Status.FAILS


@pytest.mark.parametrize(("at_20", "expected"), [(0.97, Status.HOLDS), (0.9, Status.FAILS)])
def test_a_twentieth_may_lose_a_twentieth_of_the_gain(at_20, expected):
    assert status("C11", [run(curve_recovery={"1/20": at_20})]) is expected


def test_no_thirtysecond_is_no_measurement_of_c11():
    assert status("C11", seeds(late_lead={})) is Status.NOT_MEASURED


@pytest.mark.parametrize(
    ("extra", "expected"), [(0.1, Status.FAILS), (0.045, Status.INCONCLUSIVE), (-0.1, Status.HOLDS)]
)
def test_what_a_4_bit_base_adds_decides_c12(extra, expected):
    assert status("C12", [run(extra=extra)]) is expected


def test_a_delta_that_lost_most_already_is_no_measurement_of_c12():
    assert status("C12", [run(recovery=0.4)]) is Status.NOT_MEASURED
    assert status("C12", [run(recovery=0.6)]) is Status.HOLDS


def test_no_4_bit_base_is_no_measurement_of_c12():
    assert status("C12", [run(extra_drop=None)]) is Status.NOT_MEASURED


@pytest.mark.parametrize("number", ["C2", "C3", "C4", "C11", "C12"])
def test_a_pair_without_a_gain_is_left_out_by_name(number):
    bad = [replace(each, base="mistral") for each in seeds(recovery=0.0, ahead=-0.5, late=-0.5, extra=0.5)]
    flat = [replace(each, finetuned_accuracy=0.05, kl={}, lead={}, recovery={}) for each in bad]
    found = verdict(number, [*seeds(), *flat])
    assert found.status is Status.HOLDS
    assert "left out, no gain to recover: mistral chains large (seed 0, 1, 2)" in found.reason
    assert status(number, flat) is Status.NOT_MEASURED


def test_a_pair_without_a_gain_is_no_base_of_c9():
    flat = [replace(each, finetuned_accuracy=0.05) for each in THREE_BASES[:3]]
    found = verdict("C9", [*flat, *THREE_BASES[3:]])
    assert found.status is Status.NOT_MEASURED
    assert "wide chains large" in found.reason


def test_a_saturated_task_is_no_side_of_c5():
    flat = [replace(each, base_accuracy=0.95) for each in seeds(task="records", ahead=0.05)]
    assert status("C5", [*seeds(), *flat]) is Status.NOT_MEASURED


def test_a_lora_of_a_pair_without_a_gain_is_left_out():
    found = verdict("C10", [lora(ahead=-0.5, finetuned_accuracy=0.05), lora(1, base="grouped")])
    assert found.status is Status.HOLDS
    assert "wide chains large (seed 0)" in found.reason


def test_a_pair_whose_answers_nobody_can_judge_is_left_out_of_shares_but_not_of_activations():
    own = replace(run(base="mistral"), task="", base_accuracy=None, finetuned_accuracy=None, recovery={}, lead={})
    assert status("C3", [own]) is Status.NOT_MEASURED
    assert status("C8", [own]) is Status.HOLDS
