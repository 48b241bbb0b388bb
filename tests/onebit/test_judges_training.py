"""What notebook 04 measured, as verdicts: each status where the evidence calls for it."""

from dataclasses import replace

import pytest

from lib.ledger import Status, judge
from lib.onebit import judges_training as judges
from lib.onebit.claims import CLAIMS
from lib.onebit.metrics import CompareStartsAndLosses

BY_NUMBER = {claim.id.removeprefix("onebit."): claim for claim in CLAIMS}
EMPTY = CompareStartsAndLosses(
    model="tiny",
    model_parameters=10,
    comparisons=(),
    seed=0,
    steps=100,
    tokens=1000,
    constant_rate=1e-3,
    weight_rate=1e-2,
    released_rate=4e-4,
    teacher_perplexity=20.0,
    seconds=1.0,
)
# As the paper would have it.
BETTER_BY_START = {"SVID by NMF": 30.0, "SVID by SVD, balanced": 32.0, "SVID by SVD, one-sided": 33.0}
BETTER_BY_START |= {"SVID by SVD, NMF's split": 32.0, "copy": 35.0, "random signs": 60.0}
BETTER_BY_START |= {f"{name}, released rate": value for name, value in BETTER_BY_START.items()}
LOSSES = {"logits only": 40.0, "logits + hidden as released": 33.0, "logits + 10 times that hidden": 33.5}
LOSSES |= {"logits + 1 hidden": 32.0, "logits + 10 hidden": 32.6}
ATTENTION = {f"logits + 1 hidden + attention maps, {precision}": 50.0 for precision in ("fp32", "bf16")}
CONTROLS = {f"logits + 1 hidden, {precision}": 40.0 for precision in ("fp32", "bf16")}
RATES = {"OneBit": (3.0, 3.1), "BitNet, paper's Eq. 2": (4.0, 9.0), "BitNet, release": (4.0, 7.0)}
FINAL = {f"{form} at {rate}": loss for form, pair in RATES.items() for rate, loss in zip((1, 2), pair, strict=True)}
ACTIVATIONS = {"OneBit, block 0": 8.0, "OneBit, no LayerNorm, block 0": 3.0, "OneBit, no LayerNorm, block 1": 30.0}


def seeds(comparison, jitter=0.01, **fields):
    """Three records of one comparison, their numbers moved by a little from seed to seed."""
    for seed, factor in enumerate((1, 1 + jitter, 1 - jitter)):
        moved = {
            name: {key: value * factor**number for number, (key, value) in enumerate(table.items())}
            if isinstance(table, dict) and name != "diverged"
            else table
            for name, table in fields.items()
        }
        yield replace(EMPTY, seed=seed, comparisons=(comparison,), **moved)


def starts(**changes):
    table = BETTER_BY_START | changes
    return list(seeds("starts", jitter=0.001, area=table, perplexity=table))


def losses(diverged=None, **changes):
    lost = diverged or {}
    table = {name: value for name, value in (LOSSES | ATTENTION | CONTROLS | changes).items() if name not in lost}
    return list(seeds("losses", jitter=0.0005, perplexity=table, diverged=lost))


def rates(**changes):
    sizes = {"size_with_values": {"tiny": 0.8}, "size_without_over_expected": {"tiny": 0.9}}
    overflows = {"OneBit": 0.0, "OneBit, no LayerNorm": 0.0}
    fields = {"final_loss": FINAL, "largest_activation": ACTIVATIONS, "overflows": overflows} | sizes | changes
    return list(seeds("rates", jitter=0.001, **fields))


@pytest.mark.parametrize("number", ["C6", "C11", "C12", "C13", "C14", "C15", "C16"])
def test_nothing_is_judged_on_another_comparison(number):
    verdict = judge(BY_NUMBER[number], [EMPTY])
    assert verdict.status is Status.NOT_MEASURED
    assert "needs " in verdict.reason


def test_the_paper_s_order_of_starts_holds():
    assert judges.faster_from_nmf(starts()).status is Status.HOLDS
    assert judges.best_start(starts()).status is Status.HOLDS


def test_records_of_other_comparisons_stand_beside_without_harm():
    assert judges.best_start([*losses(), *starts(), *rates()]).status is Status.HOLDS


def test_a_tie_within_a_percent_is_no_faster_training():
    verdict = judges.faster_from_nmf(starts(**{"SVID by SVD, NMF's split": 30.02}))
    assert verdict.status is Status.FAILS
    assert "the same split for both" in verdict.reason


def test_seeds_that_disagree_leave_the_faster_training_open():
    runs = [replace(run, area=run.area | {"SVID by SVD, balanced": size}) for run, size in zip(starts(), (25, 30, 40))]  # noqa: B905
    assert judges.faster_from_nmf(runs).status is Status.INCONCLUSIVE


@pytest.mark.parametrize("name", ["copy", "copy, released rate", "random signs, released rate"])
def test_one_better_start_at_either_rate_refutes_svid(name):
    assert judges.best_start(starts(**{name: 20.0})).status is Status.FAILS


def test_a_rival_that_diverges_is_beaten_and_one_s_own_divergence_loses():
    lost = [
        replace(run, diverged={"copy": 7.0}, area={k: v for k, v in run.area.items() if k != "copy"}, perplexity={
            k: v for k, v in run.perplexity.items() if k != "copy"})
        for run in starts()
    ]  # fmt: skip
    assert judges.best_start(lost).status is Status.HOLDS
    own = [replace(run, diverged={"SVID by NMF": 7.0}) for run in starts()]
    assert judges.best_start(own).status is Status.FAILS


def test_two_that_diverge_alike_are_no_win_of_either():
    lost = dict.fromkeys(("logits only", "logits + 1 hidden", "logits + hidden as released"), 5.0)
    verdict = judges.hidden_states_help(losses(diverged=lost))
    assert verdict.status is Status.NOT_MEASURED
    assert "diverged in 3 of 3 runs" in verdict.reason


def test_hidden_states_must_help_at_both_weights():
    assert judges.hidden_states_help(losses()).status is Status.HOLDS
    assert judges.hidden_states_help(losses(**{"logits + hidden as released": 41.0})).status is Status.FAILS


def test_ten_times_the_weight_may_move_perplexity_by_a_twentieth():
    assert judges.weight_matters_little(losses()).status is Status.HOLDS
    assert judges.weight_matters_little(losses(**{"logits + 10 hidden": 36.0})).status is Status.FAILS
    assert judges.weight_matters_little(losses(**{"logits + 10 hidden": 33.61})).status is Status.INCONCLUSIVE


@pytest.mark.parametrize("name", ["logits + 10 hidden", "logits + 1 hidden"])
def test_a_weight_at_which_alone_training_diverges_matters(name):
    assert judges.weight_matters_little(losses(diverged={name: 5.0})).status is Status.FAILS


def test_attention_maps_that_diverge_hold_that_harm_hold_in_direction_and_that_help_fail():
    assert judges.attention_diverges(losses(diverged=dict.fromkeys(ATTENTION, 5.0))).status is Status.HOLDS
    assert judges.attention_diverges(losses()).status is Status.HOLDS_IN_DIRECTION
    assert judges.attention_diverges(losses(**dict.fromkeys(ATTENTION, 30.0))).status is Status.FAILS


def test_a_divergence_that_comes_without_the_maps_too_is_not_theirs():
    both = dict.fromkeys([*ATTENTION, *CONTROLS], 5.0)
    assert judges.attention_diverges(losses(diverged=both)).status is Status.FAILS


def test_a_smaller_spread_than_both_forms_of_bitnet_is_the_direction_where_nothing_diverged():
    verdict = judges.stable_rates(rates())
    assert verdict.status is Status.HOLDS_IN_DIRECTION
    assert "0 of OneBit's runs diverged" in verdict.reason


def test_that_a_steady_form_may_be_a_worse_one_is_said():
    runs = [replace(run, perplexity={"OneBit at 1": 200.0, "BitNet, release at 1": 60.0}) for run in rates()]
    assert "best perplexity 200 against 60" in judges.stable_rates(runs).reason


def test_a_larger_spread_than_one_form_of_bitnet_is_not():
    assert judges.stable_rates(rates(final_loss=FINAL | {"BitNet, release at 2": 4.01})).status is Status.FAILS


def test_diverged_runs_count_before_the_spread():
    steadier = FINAL | {"OneBit at 2": 40.0}
    lost = {"BitNet, release at 3": 9.0, "BitNet, paper's Eq. 2 at 3": 9.0}
    assert judges.stable_rates(rates(final_loss=steadier, diverged=lost)).status is Status.HOLDS
    assert judges.stable_rates(rates(diverged={"OneBit at 3": 9.0})).status is Status.FAILS


def test_runs_in_which_onebit_loses_nearly_every_rate_count_too():
    lost = {"OneBit at 2": 9.0, "OneBit at 3": 9.0}
    left = {name: loss for name, loss in FINAL.items() if name not in lost}
    assert judges.stable_rates(rates(final_loss=left, diverged=lost)).status is Status.FAILS


def test_where_every_run_of_both_forms_diverges_no_spread_is_compared():
    verdict = judges.stable_rates(rates(final_loss={}, diverged=dict.fromkeys(FINAL, 9.0)))
    assert verdict.status is Status.NOT_MEASURED
    assert "6 of OneBit's runs diverged, 6 of the other form's" in verdict.reason


def test_overflow_without_the_norm_alone_holds():
    shares = {"OneBit": 0.0, "OneBit, no LayerNorm": 0.01}
    assert judges.no_overflow(rates(overflows=shares)).status is Status.HOLDS
    assert judges.no_overflow(rates(overflows=dict.fromkeys(shares, 0.01))).status is Status.FAILS


def test_without_any_overflow_the_sizes_give_a_direction_at_most():
    assert judges.no_overflow(rates()).status is Status.HOLDS_IN_DIRECTION
    smaller = ACTIVATIONS | {"OneBit, no LayerNorm, block 1": 4.0}
    assert judges.no_overflow(rates(largest_activation=smaller)).status is Status.FAILS


def test_sizes_off_by_less_than_a_half_are_restored():
    assert judges.size_restored(rates()).status is Status.HOLDS
    assert judges.size_restored(rates(size_with_values={"tiny": 0.3})).status is Status.FAILS
    assert judges.size_restored(rates(size_without_over_expected={"tiny": 0.1})).status is Status.FAILS


def test_attention_maps_are_judged_against_a_student_of_their_own_precision():
    controls = {"logits + 1 hidden, fp32": 60.0, "logits + 1 hidden, bf16": 40.0}
    verdict = judges.attention_diverges(losses(**controls))
    assert verdict.status is Status.FAILS
    assert "fp32: none of 3 runs diverged; perplexity over that without the maps: 0.8333" in verdict.reason
