"""The judges of LoRAs, of fewer bytes and of a 4-bit base, on made-up runs: when each verdict is given."""

from dataclasses import replace

import pytest

from lib.ledger import Status
from tests.delta_come.made_up_runs import changed, lora, run, seeds, status, verdict


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


def test_a_lora_of_a_pair_without_a_gain_is_left_out():
    found = verdict("C10", [lora(ahead=-0.5, finetuned_accuracy=0.05), lora(1, base="grouped")])
    assert found.status is Status.HOLDS
    assert "llama chains large (seed 0)" in found.reason


@pytest.mark.parametrize("rate", [0.005, 0.02])
def test_a_lora_whose_rate_is_an_edge_loses_in_direction_only(rate):
    found = verdict("C10", [lora(0), lora(1, learning_rate=rate), lora(2)])
    assert found.status is Status.HOLDS_IN_DIRECTION
    assert f"{rate:g} (seed 1)" in found.reason


def test_a_lora_of_a_single_rate_loses_in_direction_only():
    assert status("C10", [lora(rates={})]) is Status.HOLDS_IN_DIRECTION


def test_a_lora_whose_rate_is_an_edge_and_wins_fails_c10():
    assert status("C10", [lora(ahead=-0.3, learning_rate=0.02)]) is Status.FAILS


@pytest.mark.parametrize("R", [0.99, 0.01])
def test_a_lora_that_recovers_as_much_of_everything_or_nothing_leaves_c10_open(R):
    all_alike = [lora(seed, ahead=0.0, shared=0.0, recovery={"delta_come": R, "lora": R}) for seed in range(3)]
    close = lora(ahead=0.01, shared=0.01, lead_low={"delta_come": 0.001, "delta_come_shared": 0.001})
    assert status("C10", all_alike) is Status.INCONCLUSIVE
    assert status("C10", [replace(close, recovery={"delta_come": R, "lora": R - 0.01})]) is Status.INCONCLUSIVE


def test_answers_that_are_all_alike_leave_c10_open():
    assert status("C10", [lora(seed, ahead=0.0, shared=0.0) for seed in range(3)]) is Status.INCONCLUSIVE


def test_answers_that_are_all_alike_leave_c11_open():
    assert status("C11", [*seeds(base="grouped"), *seeds(late=0.0)]) is Status.INCONCLUSIVE


def test_a_lead_of_next_to_nothing_over_less_than_nothing_leaves_c11_open():
    nothing = [replace(each, curve_recovery={"1/32": 0.01}) for each in seeds(recovery=0.7, ahead=0.8)]
    assert status("C11", nothing) is Status.INCONCLUSIVE


@pytest.mark.parametrize(("high", "expected"), [(0.045, Status.HOLDS), (0.055, Status.INCONCLUSIVE)])
def test_the_interval_of_the_drop_at_a_twentieth_counts(high, expected):
    assert status("C11", [run(fine_drop=0.03, fine_drop_low=0.0, fine_drop_high=high)]) is expected


def test_a_delta_that_lost_most_at_a_sixteenth_cannot_hold_c11():
    lost = run(base="grouped", recovery=0.3, late=0.2, curve_recovery={"1/20": 0.29})
    found = verdict("C11", [run(), lost])
    assert found.status is Status.HOLDS
    assert "less than half is recovered at 1/16: grouped chains large (seed 0)" in found.reason
    assert status("C11", [lost]) is Status.NOT_MEASURED


def test_a_delta_that_lost_most_at_a_sixteenth_and_is_behind_at_a_thirtysecond_fails_c11():
    assert status("C11", [run(), run(base="grouped", recovery=0.3, late=-0.2)]) is Status.FAILS


def test_a_4_bit_base_that_lost_the_skill_is_no_measurement_of_c12():
    lost = run(base="grouped", extra=-0.3, exact_on_4_bits=0.3, compressed_on_4_bits=0.3)
    found = verdict("C12", [run(exact_on_4_bits=0.9), lost])
    assert found.status is Status.HOLDS
    assert "grouped chains large (seed 0)" in found.reason
    assert status("C12", [lost]) is Status.NOT_MEASURED


def test_a_delta_that_lost_most_already_is_left_out_of_c12_by_name():
    assert "llama chains large (seed 0)" in verdict("C12", [run(recovery=0.4)]).reason


def test_smollm2_alone_and_beside_tiny_pairs_can_hold_and_fail():
    large, bad = run(base="smollm2-135m-instruct"), run(base="smollm2-135m-instruct", extra=0.2, late=-0.2)
    for number in ("C11", "C12"):
        found = [status(number, runs) for runs in ([large], [*seeds(), large], [*seeds(), bad])]
        assert found == [Status.HOLDS, Status.HOLDS, Status.FAILS]
