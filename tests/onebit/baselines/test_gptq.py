import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lib.onebit.baselines import gptq, gptq_copy, gptq_matrix, round_to_nearest, row_grid


def layer(seed, m=6, n=20, tokens=200):
    """A matrix and calibration inputs whose columns are correlated."""
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(m, n, generator=generator, dtype=torch.float64)
    mixing = torch.randn(n, n, generator=generator, dtype=torch.float64)
    inputs = torch.randn(tokens, n, generator=generator, dtype=torch.float64) @ mixing
    return weight, inputs


def optimal_brain_quantisation(weight, hessian, bits, damping=0.01):
    """The rule that GPTQ speeds up, as its paper states it: after each column, remove it from the inverse Hessian."""
    W, n = weight.clone(), weight.shape[1]
    grid = row_grid(weight, bits)
    inverse = torch.linalg.inv(hessian + damping * hessian.diagonal().mean() * torch.eye(n, dtype=hessian.dtype))
    for j in range(n):
        rounded = grid.nearest(W[:, j : j + 1])[:, 0]
        error = (W[:, j] - rounded) / inverse[j, j]
        W[:, j:] -= torch.outer(error, inverse[j, j:])
        W[:, j] = rounded
        inverse = inverse - torch.outer(inverse[:, j], inverse[j]) / inverse[j, j]
    return W


def output_error(weight, rounded, inputs):
    return ((inputs @ (weight - rounded).T).square().sum() / (inputs @ weight.T).square().sum()).item()


@given(seed=st.integers(0, 30), bits=st.integers(2, 4))
def test_it_is_column_by_column_optimal_brain_quantisation(seed, bits):
    weight, inputs = layer(seed)
    hessian = inputs.T @ inputs
    assert torch.allclose(gptq(weight, hessian, bits), optimal_brain_quantisation(weight, hessian, bits), atol=1e-8)


def test_columns_corrected_in_groups_are_those_corrected_one_by_one(monkeypatch):
    weight, inputs = layer(0, n=50)
    hessian = inputs.T @ inputs
    whole = gptq(weight, hessian, 3)
    monkeypatch.setattr(gptq_matrix, "_AT_ONCE", 7)
    assert torch.allclose(gptq(weight, hessian, 3), whole, atol=1e-10)


@pytest.mark.parametrize("act_order", [False, True])
@pytest.mark.parametrize("bits", [2, 3, 4])
def test_outputs_are_kept_better_than_by_rounding(bits, act_order):
    for seed in range(5):
        weight, inputs = layer(seed, 32, 48, 500)
        kept = gptq(weight, inputs.T @ inputs, bits, act_order=act_order)
        assert output_error(weight, kept, inputs) < 0.8 * output_error(weight, round_to_nearest(weight, bits), inputs)


def test_with_inputs_that_do_not_correlate_it_is_rounding():
    weight, _ = layer(3)
    assert torch.allclose(gptq(weight, torch.eye(20, dtype=torch.float64), 2), round_to_nearest(weight, 2))


@pytest.mark.parametrize("act_order", [False, True])
def test_every_value_lies_on_its_rows_grid(act_order):
    weight, inputs = layer(4)
    rounded = gptq(weight, inputs.T @ inputs, 2, act_order=act_order)
    assert torch.allclose(row_grid(weight, 2).nearest(rounded), rounded)


def test_the_order_follows_the_largest_inputs():
    weight, inputs = layer(5, n=8)
    inputs[:, 5] *= 1000
    first = gptq(weight, inputs.T @ inputs, 2, act_order=True)[:, 5]
    assert torch.allclose(first, round_to_nearest(weight, 2)[:, 5])


def test_an_input_that_is_always_zero_gets_zero_weights():
    weight, inputs = layer(6)
    inputs[:, 3] = 0
    rounded = gptq(weight, inputs.T @ inputs, 2)
    assert rounded[:, 3].eq(0).all()
    assert rounded.isfinite().all()


def test_more_inputs_than_tokens_are_made_up_for_by_damping():
    weight, inputs = layer(7, tokens=5)
    assert gptq(weight, inputs.T @ inputs, 2).isfinite().all()


def test_a_hessian_that_cannot_be_inverted_is_named():
    with pytest.raises(ValueError, match=r"the Hessian of q_proj is not positive definite"):
        gptq(torch.ones(2, 3), -torch.eye(3), 2, name="q_proj")


def test_a_hessian_of_another_size_is_named():
    with pytest.raises(ValueError, match=r"q_proj is 2 x 3 and needs a Hessian \[3, 3\], got \[2, 2\]"):
        gptq(torch.ones(2, 3), torch.eye(2), 2, name="q_proj")


def test_a_broken_embedding_is_named(teacher, blocks):
    teacher.model.embed_tokens.weight.data[3, 1] = float("nan")
    with pytest.raises(ValueError, match=r"model\.embed_tokens\.weight holds 1 weights that are NaN"):
        gptq_copy(teacher, blocks, 2)


def test_inputs_that_are_no_numbers_are_told_from_too_few_of_them():
    with pytest.raises(ValueError, match="the Hessian of a holds NaN or infinity"):
        gptq(torch.ones(2, 3), torch.full((3, 3), float("nan")), 2, name="a")
