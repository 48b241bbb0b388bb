import math

import pytest
import torch

from lib.onebit import relative_error
from lib.onebit.approximations import APPROXIMATIONS
from lib.onebit.random_matrices import random_matrix

BY_NAME = {one.name: one for one in APPROXIMATIONS}


def error(name, weight):
    return relative_error(weight, BY_NAME[name].approximate(weight))


@pytest.fixture
def weight():
    """Rows and columns of uneven size, and a mean that is not zero."""
    rows, columns = torch.linspace(0.5, 2, 48)[:, None], torch.linspace(3, 0.2, 80)
    return (random_matrix("gaussian", (48, 80), seed=0) + 0.1) * rows * columns


def test_names_are_unique_and_each_keeps_the_shape(weight):
    assert len(BY_NAME) == len(APPROXIMATIONS)
    for one in APPROXIMATIONS:
        assert one.approximate(weight).shape == weight.shape


def test_the_scalar_is_the_best_single_scale(weight):
    best = error("sign_scalar", weight)
    sign = torch.where(weight < 0, -1.0, 1.0)
    scale = weight.abs().mean()
    assert min(relative_error(weight, sign * scale * factor) for factor in (0.99, 1.01)) > best


def test_finer_scales_never_hurt_and_svid_is_best_of_all_sign_forms(weight):
    assert error("sign_row_mean", weight) <= error("sign_scalar", weight)
    assert error("sign_column_mean", weight) <= error("sign_scalar", weight)
    assert error("svid", weight) <= error("sign_row_times_column", weight) <= error("sign_row_mean", weight)


def test_centring_shifts_the_signs_by_the_mean():
    weight = torch.tensor([[1.0, 2.0, 3.0, 6.0]])
    assert BY_NAME["bitnet_centred"].approximate(weight).tolist() == [[-1.5, -1.5, 1.5, 1.5]]


def test_rank_one_is_the_leading_term_of_a_full_svd(weight):
    for matrix in (weight, weight.T.contiguous()):
        U, S, Vh = torch.linalg.svd(matrix)
        expected = S[0] * torch.outer(U[:, 0], Vh[0])
        assert torch.allclose(BY_NAME["rank_one"].approximate(matrix), expected, atol=1e-9)


def test_asymmetric_two_bits_round_to_four_levels_between_minimum_and_maximum():
    weight = torch.tensor([[-1.0, -0.4, 0.9, 2.0]])
    assert BY_NAME["two_bit_asymmetric"].approximate(weight).tolist() == [[-1.0, 0.0, 1.0, 2.0]]


def test_symmetric_two_bits_round_to_three_levels():
    weight = torch.tensor([[-2.0, -0.9, 0.9, 1.1]])
    assert BY_NAME["two_bit_symmetric"].approximate(weight).tolist() == [[-2.0, 0.0, 0.0, 2.0]]


def test_fitted_two_bits_reach_the_known_optimum_on_normal_weights():
    # Max (1960): 0.1188 of the variance for the best uniform 4-level quantiser of a normal.
    assert error("two_bit_fitted", random_matrix("gaussian", (300, 2000), seed=1)) == pytest.approx(0.1188, abs=0.001)


def test_sign_and_scalar_of_normal_weights_lose_one_minus_two_over_pi():
    weight = random_matrix("gaussian", (500, 500), seed=2)
    assert error("sign_scalar", weight) == pytest.approx(1 - 2 / math.pi, abs=0.003)


@pytest.mark.parametrize("one", APPROXIMATIONS, ids=lambda one: one.name)
def test_zero_rows_and_zero_matrices_stay_finite(one, weight):
    weight[3] = 0
    assert one.approximate(weight).isfinite().all()
    assert not one.approximate(torch.zeros(3, 4)).any()


@pytest.mark.parametrize(
    ("name", "bits"),
    [
        ("sign_scalar", 1 + 16 / 5000),
        ("sign_row_mean", 1.16),
        ("sign_column_mean", 1.32),
        ("svid", 1.48),
        ("rank_one", 0.48),
        ("two_bit_asymmetric", 2.32),
        ("two_bit_symmetric", 2.16),
    ],
)
def test_stored_bits_a_weight(name, bits):
    assert BY_NAME[name].bits(50, 100) == pytest.approx(bits)
