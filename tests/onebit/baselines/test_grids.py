import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lib.onebit.baselines import bits_per_weight, round_to_nearest, row_grid


def matrix(seed, m=4, n=30):
    return torch.randn(m, n, generator=torch.Generator().manual_seed(seed))


@given(seed=st.integers(0, 99), bits=st.integers(1, 8))
def test_a_row_has_at_most_as_many_values_as_its_codes(seed, bits):
    rounded = round_to_nearest(matrix(seed), bits)
    assert all(len(row.unique()) <= 2**bits for row in rounded)


@given(seed=st.integers(0, 99), bits=st.integers(2, 8), symmetric=st.booleans())
def test_nothing_moves_by_more_than_half_a_step(seed, bits, symmetric):
    weight = matrix(seed)
    moved = (round_to_nearest(weight, bits, symmetric) - weight).abs()
    # the zero code is rounded too, which can push the end of an asymmetric grid out by half a step
    assert (moved <= row_grid(weight, bits, symmetric).step * (0.5 if symmetric else 1.0) + 1e-6).all()


@given(seed=st.integers(0, 99), bits=st.integers(2, 8), symmetric=st.booleans())
def test_what_lies_on_the_grid_stays(seed, bits, symmetric):
    grid = row_grid(matrix(seed), bits, symmetric)
    once = grid.nearest(matrix(seed))
    assert torch.allclose(grid.nearest(once), once)


def test_more_bits_never_hurt():
    errors = [(round_to_nearest(matrix(0, 64, 256), bits) - matrix(0, 64, 256)).norm() for bits in range(1, 9)]
    assert errors == sorted(errors, reverse=True)


def test_two_symmetric_bits_are_minus_one_zero_and_one():
    rounded = round_to_nearest(torch.tensor([[-2.0, -0.9, 0.1, 1.1, 2.0]]), 2, symmetric=True)
    assert rounded.tolist() == [[-2, 0, 0, 2, 2]]


def test_two_asymmetric_bits_are_four_even_values_that_hold_zero():
    rounded = round_to_nearest(torch.tensor([[-1.0, -0.4, 0.0, 0.9, 2.0]]), 2)
    assert rounded.tolist() == [[-1, 0, 0, 1, 2]]


def test_one_bit_is_the_rows_ends():
    assert round_to_nearest(torch.tensor([[-1.0, -0.4, 0.9, 3.0]]), 1).tolist() == [[-1, -1, -1, 3]]


@pytest.mark.parametrize("symmetric", [False, True])
def test_an_all_zero_row_stays_zero(symmetric):
    assert round_to_nearest(torch.zeros(2, 3), 2, symmetric).tolist() == [[0.0] * 3] * 2


def test_rows_do_not_touch_each_other():
    weight = matrix(1)
    louder = weight.clone()
    louder[1] *= 1000
    assert round_to_nearest(louder, 2)[0].equal(round_to_nearest(weight, 2)[0])


def test_the_bits_count_steps_and_zeros():
    assert bits_per_weight(2, 4096) == pytest.approx(2 + 18 / 4096)
    assert bits_per_weight(1, 4096) == pytest.approx(1 + 32 / 4096)
    assert bits_per_weight(2, 4096, symmetric=True) == pytest.approx(2 + 16 / 4096)


@pytest.mark.parametrize(("bits", "symmetric"), [(0, False), (9, False), (1, True)])
def test_bits_out_of_range_are_refused(bits, symmetric):
    with pytest.raises(ValueError, match=f"to 8 bits, got {bits}"):
        row_grid(matrix(0), bits, symmetric)
