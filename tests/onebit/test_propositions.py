import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.onebit.propositions import Propositions, measure
from lib.onebit.random_matrices import KINDS, random_matrix

SHAPES = st.tuples(st.integers(1, 40), st.integers(1, 40))


def measured(kind, shape, seed):
    inputs = random_matrix("gaussian", (3, shape[1]), seed + 1)
    return measure(random_matrix(kind, shape, seed), inputs, kind)


@settings(deadline=None, max_examples=150)
@given(kind=st.sampled_from(KINDS), shape=SHAPES, seed=st.integers(0, 2**30))
def test_lemma_1_holds(kind, shape, seed):
    assert measured(kind, shape, seed).lemma_1_holds


@settings(deadline=None, max_examples=150)
@given(kind=st.sampled_from(KINDS), shape=SHAPES, seed=st.integers(0, 2**30))
def test_proposition_2_holds(kind, shape, seed):
    assert measured(kind, shape, seed).proposition_2_holds


@settings(deadline=None, max_examples=60)
@given(kind=st.sampled_from(KINDS), shape=SHAPES, seed=st.integers(0, 2**30))
def test_proposition_1_holds_to_rounding(kind, shape, seed):
    # Relative to the output, which may cancel; 40 terms of 1e-16 with a margin for that.
    assert measured(kind, shape, seed).layer_deviation < 1e-11


@settings(deadline=None, max_examples=60)
@given(shape=SHAPES, seed=st.integers(0, 2**30))
def test_the_two_sides_are_what_a_full_svd_gives(shape, seed):
    weight = random_matrix("gaussian", shape, seed)
    result = measure(weight, torch.ones(1, shape[1]))
    energy = weight.square().sum().item()
    for matrix, sigma, error in (
        (weight, result.sigma_weight, result.rank_one_error),
        (weight.abs(), result.sigma_magnitude, result.svid_error),
    ):
        values = torch.linalg.svdvals(matrix)
        assert sigma == pytest.approx(values[0].item(), rel=1e-9)
        assert error == pytest.approx((values[1:].square().sum() / energy).item(), abs=1e-9)


def test_a_violation_would_be_seen():
    good = Propositions("w", 2.0, 1.0, 0.3, 0.9, 0.0, 3)
    assert good.lemma_1_holds
    assert good.proposition_2_holds
    assert not Propositions("w", 1.0, 1.001, 0.3, 0.9, 0.0, 3).lemma_1_holds
    assert not Propositions("w", 2.0, 1.0, 0.9001, 0.9, 0.0, 3).proposition_2_holds
