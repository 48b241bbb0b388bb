import pytest
import torch

from lib.delta_come.baselines import drop_and_quantise
from lib.delta_come.baselines.dropping import drawn_mask, masked_gptq
from lib.delta_come.errors import DeltaError
from lib.delta_come.gptq import gptq, prepare
from lib.delta_come.grid import GridOptions
from tests.delta_come.conftest import hessian_of, make_layer, output_error


@pytest.fixture(scope="module")
def dropped():
    delta, inputs = make_layer(0)
    return delta, inputs, drop_and_quantise("w", delta, hessian_of(inputs), bits=4, budget=48 * 40, seed=1)


def test_bytes_are_those_of_the_codes_that_stay_and_a_scale_a_row(dropped):
    _, _, matrix = dropped
    count = (48 * 40 - 48 * 20) // 4
    assert matrix.codes.numel() == count
    assert matrix.true_bytes == (4 * count + 48 * 20) // 8 <= 48 * 40 // 8


def test_the_mask_is_drawn_again_from_the_seed(dropped):
    _, _, matrix = dropped
    kept = drawn_mask("w", (48, 40), matrix.codes.numel(), seed=1)
    assert (matrix.delta()[~kept] == 0).all()
    assert kept.sum() == matrix.codes.numel()


@pytest.mark.parametrize("other", [("v", 1), ("w", 2)])
def test_another_name_or_seed_drops_other_weights(other):
    assert not torch.equal(drawn_mask("w", (48, 40), 200, 1), drawn_mask(other[0], (48, 40), 200, other[1]))


def test_what_stays_is_rescaled_so_that_the_mean_is_kept():
    delta = torch.ones(40, 50)
    matrix = drop_and_quantise("w", delta, torch.eye(50), bits=8, budget=40 * 24 + 8 * 500)
    assert matrix.density == 0.25
    assert matrix.delta().sum().item() == pytest.approx(delta.sum().item(), rel=0.01)


def test_nothing_dropped_is_plain_gptq():
    delta, inputs = make_layer(1)
    prepared = prepare(hessian_of(inputs))
    codes, grid = masked_gptq(delta, torch.ones_like(delta, dtype=torch.bool), 3, prepared)
    (plain,) = gptq([(delta, 3)], prepared, GridOptions(group_size=delta.shape[1]), static_groups=True)
    assert torch.equal(grid.values(codes.T).T, plain.dequantise())


def test_compensation_errs_less_at_the_outputs_than_rounding_what_stays(dropped):
    delta, inputs, matrix = dropped
    identity = drop_and_quantise("w", delta, torch.eye(40), bits=4, budget=48 * 40, seed=1)  # nothing to compensate by
    kept = drawn_mask("w", (48, 40), matrix.codes.numel(), seed=1)
    target = torch.where(kept, delta / matrix.density, 0.0)
    assert output_error(target, matrix.delta(), inputs) < output_error(target, identity.delta(), inputs)


def test_a_budget_of_scales_alone_is_refused():
    with pytest.raises(DeltaError, match=r"a scale a row of w \(48 x 40\) leave no weight"):
        drop_and_quantise("w", *make_layer(0)[:1], torch.eye(40), bits=4, budget=48 * 21)
