import pytest
import torch

from lib.delta_come import DeltaError
from lib.delta_come.gptq import gptq, prepare
from lib.delta_come.grid import GridOptions, round_to_nearest
from tests.delta_come.conftest import hessian_of, make_layer, output_error

GROUPS_OF_8 = GridOptions(group_size=8)


def simple_grid(values, bits):
    """Scale and zero of one row, as facts and papers write them."""
    lo, hi = min(0.0, values.min().item()), max(0.0, values.max().item())
    scale = torch.tensor((hi - lo) / (2**bits - 1)).half().double().item()
    return scale, min(round(-lo / scale), 2**bits - 1)


def column_by_column(weight, hessian, bits, group_size, act_order=True, static=False, damping=0.01):
    """GPTQ as its rule is stated: after each column, take it out of the inverse Hessian; float64, one row a time."""
    n, H = weight.shape[1], hessian.double()
    order = H.diagonal().argsort(descending=True, stable=True) if act_order else torch.arange(n)
    start = torch.linalg.inv((H + damping * H.diagonal().mean() * torch.eye(n, dtype=H.dtype))[order][:, order])
    result = torch.empty_like(weight, dtype=torch.float64)
    for row in range(len(weight)):
        w, inverse = weight[row].double()[order].clone(), start.clone()
        natural = [simple_grid(group, bits) for group in weight[row].double().split(group_size)]
        for j in range(n):
            if static:
                scale, zero = natural[order[j] // group_size]
            elif j % group_size == 0:
                scale, zero = simple_grid(w[j : j + group_size], bits)
            code = min(max(torch.round(w[j] / scale).item() + zero, 0), 2**bits - 1)
            result[row, order[j]] = scale * (code - zero)
            w[j:] -= (w[j] - result[row, order[j]]) / inverse[j, j] * inverse[j, j:].clone()
            inverse = inverse - torch.outer(inverse[:, j], inverse[j]) / inverse[j, j]
    return result.float()


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
@pytest.mark.parametrize(("act_order", "static"), [(False, False), (True, False), (True, True)])
def test_it_is_column_by_column_optimal_brain_quantisation(bits, act_order, static):
    weight, inputs = make_layer(bits, 4, 20)
    hessian = hessian_of(inputs)
    (found,) = gptq([(weight, bits)], prepare(hessian, act_order), GROUPS_OF_8, static)
    expected = column_by_column(weight, hessian, bits, 8, act_order, static)
    assert torch.allclose(found.dequantise(), expected, atol=2e-5)


def test_corrections_by_chunks_are_those_made_one_by_one(monkeypatch):
    weight, inputs = make_layer(0, 6, 60)
    hessian, options = prepare(hessian_of(inputs)), GridOptions(group_size=32)
    (whole,) = gptq([(weight, 3)], hessian, options)
    monkeypatch.setattr("lib.delta_come.gptq._CHUNK", 5)
    (chunks,) = gptq([(weight, 3)], hessian, options)
    assert torch.equal(whole.codes, chunks.codes)


@pytest.mark.parametrize("static", [False, True])
def test_matrices_with_the_same_inputs_run_together_as_they_do_alone(static):
    weight, inputs = make_layer(1)
    hessian = prepare(hessian_of(inputs))
    parts = [(weight[:5], 8), (weight[5:20], 3), (weight[20:], 2)]
    together = gptq(parts, hessian, GROUPS_OF_8, static)
    for part, found in zip(parts, together, strict=True):
        (alone,) = gptq([part], hessian, GROUPS_OF_8, static)
        assert found.bits == part[1]
        assert torch.equal(found.codes, alone.codes)
        assert torch.equal(found.scales, alone.scales)


@pytest.mark.parametrize("bits", [2, 3, 4])
@pytest.mark.parametrize("options", [GROUPS_OF_8, GridOptions(8, symmetric=True), GridOptions(8, clip=True)])
def test_outputs_are_kept_better_than_by_rounding(bits, options):
    for seed in range(3):
        weight, inputs = make_layer(seed)
        (kept,) = gptq([(weight, bits)], prepare(hessian_of(inputs)), options)
        rounded = round_to_nearest(weight, bits, options)
        assert output_error(weight, kept.dequantise(), inputs) < 0.8 * output_error(
            weight, rounded.dequantise(), inputs
        )


def test_with_inputs_that_do_not_correlate_it_is_rounding():
    weight, _ = make_layer(2)
    (found,) = gptq([(weight, 3)], prepare(torch.eye(40)), GROUPS_OF_8)
    assert torch.equal(found.dequantise(), round_to_nearest(weight, 3, GROUPS_OF_8).dequantise())


def test_groups_run_by_the_largest_inputs():
    weight, inputs = make_layer(3)
    inputs[:, 11] *= 100
    hessian = hessian_of(inputs)
    (found,) = gptq([(weight, 2)], prepare(hessian), GROUPS_OF_8)
    assert torch.equal(found.permutation.long(), hessian.diagonal().argsort(descending=True))
    assert found.permutation[0] == 11


def test_static_groups_leave_no_permutation():
    weight, inputs = make_layer(4)
    (found,) = gptq([(weight, 2)], prepare(hessian_of(inputs)), GROUPS_OF_8, static_groups=True)
    assert found.permutation is None
    assert torch.equal(found.scales, round_to_nearest(weight, 2, GROUPS_OF_8).scales)


def test_grids_of_columns_are_one_a_column():
    weight, inputs = make_layer(5)
    (found,) = gptq([(weight, 3)], prepare(hessian_of(inputs)), GROUPS_OF_8, column_grids=True)
    assert found.scales.shape == found.zeros.shape == (1, 40)
    assert (found.group_size, found.permutation) == (1, None)
    assert output_error(weight, found.dequantise(), inputs) < 0.1


def test_an_input_that_is_always_zero_gets_zero_weights():
    weight, inputs = make_layer(6)
    inputs[:, 3] = 0
    (found,) = gptq([(weight, 2)], prepare(hessian_of(inputs)), GROUPS_OF_8)
    assert found.dequantise()[:, 3].eq(0).all()


def test_inputs_of_another_size_give_the_same_codes_also_beside_one_that_is_always_zero():
    weight, inputs = make_layer(6)
    inputs[:, 3] = 0
    large, small = (gptq([(weight, 2)], prepare(size * hessian_of(inputs)), GROUPS_OF_8)[0] for size in (1, 2.0**-20))
    assert large.codes.equal(small.codes)
    assert output_error(weight, small.dequantise(), inputs) < 0.1


def test_without_any_input_nothing_is_kept():
    (found,) = gptq([(make_layer(6)[0], 2)], prepare(torch.zeros(40, 40)), GROUPS_OF_8)
    assert found.dequantise().eq(0).all()


def test_more_inputs_than_tokens_are_made_up_for_by_damping():
    weight, inputs = make_layer(7, tokens=5)
    (found,) = gptq([(weight, 2)], prepare(hessian_of(inputs)), GROUPS_OF_8)
    assert found.dequantise().isfinite().all()


def test_a_hessian_that_cannot_be_inverted_is_named():
    with pytest.raises(DeltaError, match=r"the Hessian of q_proj is not positive definite .* more damping"):
        prepare(-torch.eye(3), name="q_proj")


def test_a_hessian_that_is_not_finite_is_named():
    with pytest.raises(DeltaError, match="the Hessian of q_proj holds NaN or infinity"):
        prepare(torch.full((3, 3), float("nan")), name="q_proj")


def test_a_hessian_of_other_inputs_is_named():
    with pytest.raises(DeltaError, match="a matrix 2 x 3 needs a Hessian of its 3 inputs, got one of 2"):
        gptq([(torch.ones(2, 3), 4)], prepare(torch.eye(2)))
