import pytest
import torch

from lib.delta_come import DeltaError
from lib.delta_come.spectrum import decompose
from lib.delta_come.whitening import activation_energy, decompose_whitened
from tests.delta_come.conftest import hessian_of, make_layer, output_error


def test_truncation_loses_less_at_the_outputs_than_that_of_the_plain_svd():
    for seed in range(3):
        delta, inputs = make_layer(seed)
        whitened = decompose_whitened(delta, hessian_of(inputs), 10, damping=1e-6)
        plain = decompose(delta, 10)
        assert output_error(delta, whitened.reconstruct(), inputs) < output_error(delta, plain.reconstruct(), inputs)


def test_all_directions_give_the_delta_back():
    delta, inputs = make_layer(0)
    assert torch.allclose(decompose_whitened(delta, hessian_of(inputs)).reconstruct(), delta, atol=1e-3)


def test_rows_of_V_have_norm_one():
    delta, inputs = make_layer(1)
    assert torch.allclose(decompose_whitened(delta, hessian_of(inputs)).V.norm(dim=1), torch.ones(40), atol=1e-5)


def test_directions_come_in_the_order_of_what_they_do_to_the_outputs():
    delta, inputs = make_layer(2)
    hessian = hessian_of(inputs)
    found = decompose_whitened(delta, hessian, damping=1e-6)
    done = found.singular_values.double().square() * activation_energy(found.V, hessian)
    assert (done.diff() <= 1e-3 * done[0]).all()


def test_activation_energy_is_twice_the_mean_square_of_a_directions_input():
    delta, inputs = make_layer(3)
    V = decompose(delta, 5).V
    expected = 2 * (inputs @ V.T).square().mean(0)
    assert torch.allclose(activation_energy(V, hessian_of(inputs)).float(), expected, rtol=1e-3)


def test_without_inputs_it_says_what_to_do():
    with pytest.raises(DeltaError, match="whitening needs calibration text"):
        decompose_whitened(torch.ones(3, 3), None)
