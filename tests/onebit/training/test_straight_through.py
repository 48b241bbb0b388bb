import pytest
import torch

from lib.onebit.training.straight_through import straight_through_sign


def gradient(values, estimator="tanh"):
    latent = torch.tensor(values, requires_grad=True)
    straight_through_sign(latent, estimator).backward(torch.ones(len(values)))
    return latent.grad


def test_zero_of_either_sign_counts_as_plus_one():
    assert straight_through_sign(torch.tensor([0.0, -0.0, 1e-30, -1e-30, 5.0, -5.0])).tolist() == [1, 1, 1, -1, 1, -1]


def test_the_gradient_is_that_of_tanh_and_a_thousandth():
    latent = torch.tensor([-2.0, -0.01, 0.0, 0.01, 1.0], requires_grad=True)
    latent.tanh().sum().backward()
    assert torch.allclose(gradient([-2.0, -0.01, 0.0, 0.01, 1.0]), latent.grad + 0.001)


def test_the_sizes_that_the_facts_name():
    assert gradient([0.01, 1.0, 50.0]).tolist() == pytest.approx([1.0009, 0.421, 0.001], abs=1e-4)


def test_the_plain_estimator_passes_the_gradient_on():
    assert gradient([-3.0, 0.0, 0.2], "identity").tolist() == [1, 1, 1]


def test_an_unknown_estimator_is_named():
    with pytest.raises(ValueError, match="no estimator 'clip'; choose one of tanh, identity"):
        straight_through_sign(torch.zeros(1), "clip")
