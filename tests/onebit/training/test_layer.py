import pytest
import torch

from lib.onebit.svid import svid
from lib.onebit.training import OneBitLinear


def parts(m=5, n=7, seed=0):
    generator = torch.Generator().manual_seed(seed)
    latent, x = torch.randn(m, n, generator=generator), torch.randn(3, 2, n, generator=generator)
    g, h = torch.rand(n, generator=generator) + 0.5, torch.rand(m, generator=generator) + 0.5
    return latent, g, h, x


@pytest.mark.parametrize(("m", "n"), [(5, 7), (1, 9), (16, 3)])
def test_without_its_norm_it_is_the_dense_product_with_the_outer_product(m, n):
    latent, g, h, x = parts(m, n)
    layer = OneBitLinear(latent, g, h, post_norm=False)
    dense = torch.where(latent < 0, -1.0, 1.0) * torch.outer(h, g)
    assert torch.allclose(layer(x), x @ dense.T, atol=1e-5)
    assert torch.equal(layer.dequantise(), dense)


def test_with_its_norm_it_is_equation_3():
    latent, g, h, x = parts()
    y = (x @ (torch.where(latent < 0, -1.0, 1.0) * torch.outer(h, g)).T).double()
    expected = (y - y.mean(-1, keepdim=True)) / (y.var(-1, unbiased=False, keepdim=True) + 1e-5).sqrt()
    assert torch.allclose(OneBitLinear(latent, g, h)(x).double(), expected, atol=1e-5)


def test_the_norm_has_no_weights_and_hides_the_length_of_either_vector():
    latent, g, h, x = parts()
    layer = OneBitLinear(latent, g, h)
    assert {name for name, _ in layer.named_parameters()} == {"latent", "input_scale", "output_scale"}
    longer = OneBitLinear(latent, 100 * g, 10 * h)
    assert torch.allclose(layer(x), longer(x), atol=1e-3)


def test_the_bias_comes_after_the_norm():
    latent, g, h, x = parts()
    bias = torch.arange(5.0)
    assert torch.allclose(OneBitLinear(latent, g, h, bias)(x), OneBitLinear(latent, g, h)(x) + bias)


def test_proposition_1_svid_plugs_into_the_layer():
    weight, _, _, x = parts(12, 10)
    decomposed = svid(weight)
    layer = OneBitLinear(weight, decomposed.input_scale, decomposed.output_scale, post_norm=False)
    assert torch.allclose(layer(x), x @ decomposed.reconstruct().T, atol=1e-5)


def test_all_three_are_trained_and_the_latents_gradient_is_straight_through():
    latent, g, h, x = parts()
    layer = OneBitLinear(latent, g, h, post_norm=False)
    layer(x).sum().backward()
    x = x.flatten(0, 1)
    per_sign = torch.outer(h, (x * g).sum(0))  # dL/dS for L = sum of all outputs
    assert torch.allclose(layer.latent.grad, per_sign * (1.001 - latent.tanh() ** 2), atol=1e-5)
    assert layer.input_scale.grad.abs().min() > 0
    assert layer.output_scale.grad.abs().min() > 0


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_inputs_give_half_precision_outputs(dtype):
    latent, g, h, x = parts(64, 96)
    layer = OneBitLinear(latent, g, h)
    low = layer(x.to(dtype))
    assert low.dtype == dtype
    assert (low.float() - layer(x)).abs().max() < 0.1


def test_under_autocast_it_agrees_with_fp32_to_bf16s_precision():
    latent, g, h, x = parts(64, 96)
    layer = OneBitLinear(latent, g, h, post_norm=False)
    with torch.autocast("cpu", torch.bfloat16):
        low = layer(x)
    assert ((low.float() - layer(x)).norm() / layer(x).norm()) < 0.01


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        (((5,), (7,), (5,)), r"latent has shape \(5,\)"),
        (((5, 7), (5,), (5,)), r"input_scale has shape \(5,\); a latent of 5 x 7 needs \(7,\)"),
        (((5, 7), (7,), (7,)), r"output_scale has shape \(7,\); a latent of 5 x 7 needs \(5,\)"),
    ],
)
def test_parts_that_do_not_fit_are_named(shapes, message):
    with pytest.raises(ValueError, match=message):
        OneBitLinear(*map(torch.ones, shapes))
