import pytest
import torch

from lib.delta_come.baselines import affordable_passes, sign_passes
from lib.delta_come.errors import DeltaError


@pytest.fixture
def delta():
    return torch.randn(13, 10, generator=torch.Generator().manual_seed(0)) * torch.linspace(0.1, 2, 13)[:, None]


def loss(delta, matrix):
    return (delta - matrix.delta()).square().sum().item()


def test_the_scale_is_the_one_with_the_least_squared_error(delta):
    matrix = sign_passes("w", delta)
    best = loss(delta, matrix)
    for factor in (0.98, 1.02):
        assert loss(delta, matrix.with_scales((matrix.scales[0].float() * factor,))) > best


def test_a_zero_counts_as_positive():
    assert (sign_passes("w", torch.zeros(2, 3)).signs[0] == 1).all()


def test_a_scale_a_row_errs_less_than_one_a_matrix(delta):
    assert loss(delta, sign_passes("w", delta, rows=True)) < loss(delta, sign_passes("w", delta))


def test_another_pass_errs_less(delta):
    assert loss(delta, sign_passes("w", delta, passes=2)) < loss(delta, sign_passes("w", delta))


@pytest.mark.parametrize(("passes", "rows", "bits"), [(1, False, 130 + 16), (3, False, 3 * 146), (1, True, 130 + 208)])
def test_bytes_are_a_bit_a_weight_and_16_a_scale(delta, passes, rows, bits):
    assert sign_passes("w", delta, passes, rows).true_bytes == (bits + 7) // 8


def test_as_many_passes_are_afforded_as_fit():
    assert [affordable_passes(13, 10, bits) for bits in (146, 291, 292)] == [1, 1, 2]


def test_less_than_a_bit_a_weight_is_refused_with_what_it_needs():
    with pytest.raises(DeltaError, match=r"one bit a weight of w \(13 x 10\) takes 146 bits .* budget is 145"):
        affordable_passes(13, 10, 145, name="w")
