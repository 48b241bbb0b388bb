"""The judge of errors of activations, on made-up runs."""

import pytest

from lib.ledger import Status
from tests.delta_come.made_up_runs import PLACES, changed, seeds, status, verdict


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


def test_a_place_whose_interval_crosses_1_is_not_hidden_by_one_with_a_larger_mean():
    made = [changed(each, "activation", **{"delta_come low all": 1.8}) for each in seeds()]
    wide = [
        changed(each, "activation", **{"delta_come high all": error})
        for each, error in zip(made, (1.0, 1.6, 2.2), strict=True)
    ]
    found = verdict("C8", wide)
    assert found.status is Status.INCONCLUSIVE
    assert "(high all)" in found.reason


def test_a_place_that_fails_is_told_before_one_that_is_open():
    made = [
        changed(each, "activation", **{"delta_come low all": error, "delta_come high all": 2.2})
        for each, error in zip(seeds(), (1.0, 1.6, 4.0), strict=True)
    ]
    assert status("C8", made) is Status.FAILS
