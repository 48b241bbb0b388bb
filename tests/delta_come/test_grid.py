import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.delta_come.grid import GridOptions, fit_grid, round_to_nearest


def matrix(seed, rows=5, columns=20):
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed))


@st.composite
def matrices(draw):
    columns = draw(st.integers(1, 9))
    finite = st.floats(-100, 100, width=32).filter(lambda value: value == 0 or abs(value) > 0.1)
    return torch.tensor(draw(st.lists(st.lists(finite, min_size=columns, max_size=columns), min_size=1, max_size=4)))


@settings(max_examples=60, deadline=None)
@given(weight=matrices(), bits=st.sampled_from([2, 3, 4, 8]), group_size=st.sampled_from([1, 2, 4, 128]))
def test_every_value_is_within_half_a_step_of_its_grid_point(weight, bits, group_size):
    rounded = round_to_nearest(weight, bits, GridOptions(group_size))
    steps = rounded.scales.float()[:, torch.arange(weight.shape[1]) // group_size]
    # The scale is rounded to fp16, by 2^-11 of itself, so that the range ends up to 2^bits * 2^-11 steps away; and the
    # zero point, rounded to a code, moves the range by up to half a step.
    assert ((rounded.dequantise() - weight).abs() <= steps * (1.0 + 2**bits * 2**-11) + 1e-7).all()
    assert rounded.codes.max().item() < 2**bits
    assert rounded.zeros.max().item() < 2**bits


@settings(max_examples=60, deadline=None)
@given(weight=matrices(), bits=st.sampled_from([2, 3, 4, 8]), symmetric=st.booleans(), clip=st.booleans())
def test_zero_is_on_every_grid(weight, bits, symmetric, clip):
    options = GridOptions(4, symmetric, clip)
    weight[:, 0] = 0
    assert round_to_nearest(weight, bits, options).dequantise()[:, 0].eq(0).all()


@settings(max_examples=40, deadline=None)
@given(weight=matrices(), bits=st.sampled_from([2, 3, 4]), symmetric=st.booleans())
def test_clipping_never_raises_the_squared_error(weight, bits, symmetric):
    plain, clipped = (
        round_to_nearest(weight, bits, GridOptions(4, symmetric, clip)).dequantise() for clip in (False, True)
    )
    assert (clipped - weight).square().sum() <= (plain - weight).square().sum() * (1 + 1e-5) + 1e-9


def test_the_grid_is_the_papers():
    values = torch.tensor([[-1.0], [0.4], [2.0], [0.9]])  # one row of four values
    grid = fit_grid(values, torch.tensor([3.0]))
    assert (grid.scale.item(), grid.zero.item()) == (1.0, 1.0)
    assert grid.codes(values).flatten().tolist() == [0, 1, 3, 2]
    assert grid.values(grid.codes(values)).flatten().tolist() == [-1, 0, 2, 1]


def test_a_range_without_a_negative_value_starts_at_zero():
    grid = fit_grid(torch.tensor([[1.0], [3.0]]), torch.tensor([3.0]))
    assert (grid.scale.item(), grid.zero.item()) == (1.0, 0.0)


def test_a_row_of_zeros_has_the_range_of_one_to_each_side():
    grid = fit_grid(torch.zeros(4, 1), torch.tensor([15.0]))
    assert grid.scale.item() == pytest.approx(2 / 15, rel=1e-3)


def test_a_symmetric_grid_has_its_zero_in_the_middle():
    rounded = round_to_nearest(matrix(0), 3, GridOptions(8, symmetric=True))
    assert rounded.zeros.eq(4).all()
    assert rounded.symmetric


def test_each_group_of_each_row_has_its_own_scale():
    weight = matrix(1, 2, 12)
    weight[1, 4:8] *= 100
    scales = round_to_nearest(weight, 4, GridOptions(4)).scales
    assert scales.shape == (2, 3)
    assert scales[1, 1] > 30 * scales[1, 0]


def test_scales_are_numbers_that_fp16_holds_before_codes_are_chosen():
    weight = matrix(2, 40, 100) / 3
    rounded = round_to_nearest(weight, 8)
    codes = (weight / rounded.scales.float()).round() + rounded.zeros
    assert torch.equal(rounded.codes.float(), codes.clamp(0, 255))


def test_values_too_small_for_fp16_scales_stay_finite():
    assert round_to_nearest(matrix(3) * 1e-9, 2).dequantise().isfinite().all()


@pytest.mark.parametrize(
    ("bits", "clip", "loss"),
    [(2, False, 0.250), (3, False, 0.0462), (4, False, 0.0101), (2, True, 0.134), (3, True, 0.0347), (4, True, 0.0090)],
)
def test_normal_values_lose_what_the_tables_of_the_allocation_say(bits, clip, loss):
    weight = matrix(4, 400, 128)
    rounded = round_to_nearest(weight, bits, GridOptions(128, clip=clip)).dequantise()
    assert ((rounded - weight).square().mean() / weight.square().mean()).item() == pytest.approx(loss, rel=0.04)
