import math

import numpy as np
import pytest
import torch
from sklearn.decomposition import NMF

from lib.onebit.random_matrices import KINDS, random_matrix
from lib.onebit.rank_one import alternating, largest_singular_value, nmf

SHAPES = [(1, 1), (1, 9), (9, 1), (7, 13), (33, 20), (20, 33), (64, 192)]


def missed(matrix, left, right):
    return (matrix - torch.outer(left, right)).square().sum().item()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", SHAPES)
def test_alternating_steps_reach_the_optimum_of_a_full_svd(kind, shape):
    magnitude = random_matrix(kind, shape, seed=3).abs()
    found = alternating(magnitude)
    expected = torch.linalg.svdvals(magnitude)[0].item()
    assert found.singular_value == pytest.approx(expected, rel=1e-10, abs=1e-300)
    best = (magnitude.square().sum() - expected**2).clamp(min=0).item()
    energy = magnitude.square().sum().item()
    assert missed(magnitude, found.singular_value * found.left, found.right) <= best + 1e-9 * energy


@pytest.mark.parametrize("kind", KINDS)
def test_factors_are_unit_vectors_without_negative_entries(kind):
    found = alternating(random_matrix(kind, (30, 40), seed=1).abs())
    for factor in (found.left, found.right):
        assert factor.norm().item() == pytest.approx(1)
        assert (factor >= 0).all()


def test_two_nearly_equal_singular_values_are_left_to_lapack():
    ones = torch.ones(3, 4, dtype=torch.float64)
    magnitude = torch.block_diag(ones, (1 + 1e-6) * ones)
    found = alternating(magnitude)
    assert not found.converged
    assert found.singular_value == pytest.approx(math.sqrt(12) * (1 + 1e-6), rel=1e-12)


def test_a_dead_column_does_not_keep_the_steps_from_ending():
    magnitude = random_matrix("gaussian", (20, 30), seed=2).abs()
    magnitude[:, 5] = 0
    found = alternating(magnitude)
    assert found.converged
    assert found.steps < 30


def test_a_zero_matrix_has_zero_factors():
    found = alternating(torch.zeros(3, 5))
    assert (found.singular_value, found.steps) == (0, 0)
    assert not found.left.any()
    assert len(found.right) == 5


@pytest.mark.parametrize("shape", [(50, 80), (80, 50), (192, 64)])
@pytest.mark.parametrize("kind", ["gaussian", "outlier columns", "low rank"])
def test_nmf_reaches_the_error_of_scikit_learn(kind, shape):
    magnitude = random_matrix(kind, shape, seed=5).abs().float()
    model = NMF(n_components=1, init="random", random_state=0, tol=1e-4)
    expected = np.square(magnitude.numpy() - model.fit_transform(magnitude.numpy()) @ model.components_).sum()
    ours = nmf(magnitude)
    assert missed(magnitude, ours.output_factor, ours.input_factor) == pytest.approx(expected, rel=1e-5)


def test_nmf_and_svd_share_one_optimum():
    magnitude = random_matrix("gaussian", (120, 90), seed=6).abs()
    factors = nmf(magnitude)
    best = magnitude.square().sum().item() - torch.linalg.svdvals(magnitude)[0].item() ** 2
    assert missed(magnitude, factors.output_factor, factors.input_factor) == pytest.approx(best, rel=1e-8)


def share_of(left, right):
    return np.mean(left) / np.mean(right)


def test_nmf_shares_the_scale_as_scikit_learn_does_two_over_pi_on_average():
    magnitude = random_matrix("gaussian", (64, 400), seed=7).abs()
    ours, theirs = [], []
    for seed in range(40):
        factors = nmf(magnitude, seed)
        ours.append(share_of(factors.output_factor.numpy(), factors.input_factor.numpy()))
        model = NMF(n_components=1, init="random", random_state=seed)
        theirs.append(share_of(model.fit_transform(magnitude.numpy()), model.components_))
    # One start strays by about 8 %, the mean of forty by 1.2 %.
    assert np.mean(ours) == pytest.approx(2 / math.pi, rel=0.05)
    assert np.mean(theirs) == pytest.approx(2 / math.pi, rel=0.05)


def test_nmf_of_a_zero_matrix_is_an_error():
    with pytest.raises(ValueError, match="all-zero"):
        nmf(torch.zeros(3, 5))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", SHAPES)
def test_largest_singular_value_is_that_of_a_full_svd(kind, shape):
    matrix = random_matrix(kind, shape, seed=4)
    assert largest_singular_value(matrix) == pytest.approx(
        torch.linalg.svdvals(matrix)[0].item(), rel=1e-10, abs=1e-300
    )


def test_random_matrices_are_the_same_for_the_same_seed_and_differ_otherwise():
    for kind in KINDS:
        first = random_matrix(kind, (12, 15), seed=0)
        assert torch.equal(first, random_matrix(kind, (12, 15), seed=0))
        assert not torch.equal(first, random_matrix(kind, (12, 15), seed=1))


def test_an_unknown_kind_of_matrix_lists_the_kinds():
    with pytest.raises(ValueError, match="gaussian"):
        random_matrix("gausian", (2, 2), seed=0)
