import pytest
import torch

from lib.models import Projection
from lib.onebit import relative_error, svid
from lib.onebit.approximations import APPROXIMATIONS, rank_one
from lib.onebit.random_matrices import KINDS, random_matrix
from lib.onebit.survey import mean_by_type, survey, survey_random


def projection(kind="gaussian", type="q", seed=0, dtype=torch.float32):
    return Projection(f"layers.0.{type}", 0, type, random_matrix(kind, (24, 40), seed).to(dtype))


@pytest.fixture
def measured():
    return survey(projection())


def test_every_approximation_is_measured_on_the_matrix(measured):
    weight = projection().weight
    assert set(measured.errors) == {one.name for one in APPROXIMATIONS}
    for one in APPROXIMATIONS:
        expected = relative_error(weight, one.approximate(weight))
        assert measured.errors[one.name] == pytest.approx(expected, abs=1e-5), one.name


def test_errors_of_svid_and_rank_one_come_from_the_propositions(measured):
    weight = projection().weight.double()
    assert measured.errors["svid"] == pytest.approx(relative_error(weight, svid(weight).reconstruct()), rel=1e-9)
    assert measured.errors["rank_one"] == pytest.approx(relative_error(weight, rank_one(weight)), rel=1e-9)


def test_nmf_is_just_above_the_optimum(measured):
    assert 0 <= measured.nmf_error - measured.errors["svid"] < 1e-5
    assert measured.nmf_steps >= 2


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_checkpoints_in_half_precision_are_measured_too(dtype):
    assert survey(projection(dtype=dtype)).errors["svid"] == pytest.approx(
        survey(projection()).errors["svid"], abs=0.01
    )


def test_a_zero_matrix_has_no_error():
    zero = survey(Projection("layers.0.q", 0, "q", torch.zeros(4, 6)))
    assert zero.errors["svid"] == zero.nmf_error == 0
    assert zero.propositions.lemma_1_holds


def test_the_same_seed_gives_the_same_measurements(measured):
    assert survey(projection()) == measured
    assert survey(projection(), seed=1).nmf_error != measured.nmf_error


def test_random_matrices_go_through_all_kinds_and_shapes_and_none_twice():
    names = [each.name for each in survey_random(90)]
    assert len(set(names)) == 90
    assert {name.rsplit(" ", 3)[0] for name in names} == set(KINDS)
    assert [each.svid_error for each in survey_random(20)] == [each.svid_error for each in survey_random(20)]
    assert [each.svid_error for each in survey_random(20)] != [each.svid_error for each in survey_random(20, seed=1)]


def test_means_by_type_keep_the_order_of_the_layers():
    surveys = [survey(projection(type=kind, seed=seed)) for seed, kind in enumerate(["q", "k", "q"])]
    means = mean_by_type(surveys, "svid")
    assert list(means) == ["q", "k"]
    assert means["q"] == pytest.approx((surveys[0].errors["svid"] + surveys[2].errors["svid"]) / 2)


def test_a_row_holds_block_type_and_errors(measured):
    assert measured.row() == {"block": 0, "type": "q", **measured.errors}
