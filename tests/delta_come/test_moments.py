"""Layers' inputs and errors at their outputs, against plain products."""

import pytest
import torch

from lib.delta_come.factors import CompressedMatrix
from lib.delta_come.moments import input_moments, layer_inputs, mean_output_error, output_error, second_moments
from tests.delta_come.conftest import output_error as plain_output_error

DOWN = "model.layers.1.mlp.down_proj.weight"
Q, V = "model.layers.1.self_attn.q_proj.weight", "model.layers.1.self_attn.v_proj.weight"


def test_inputs_are_those_of_every_token(base, blocks):
    assert layer_inputs(base, DOWN, blocks).shape == (blocks.numel(), 96)


def test_inputs_are_what_the_layer_turns_into_its_outputs(base, blocks):
    seen = []
    layer = base.get_submodule(DOWN.removesuffix(".weight"))
    handle = layer.register_forward_hook(lambda _layer, _inputs, output: seen.append(output))
    X = layer_inputs(base, DOWN, blocks[:2])
    handle.remove()
    assert torch.allclose(X @ layer.weight.T, seen[0].flatten(0, 1), atol=1e-4)


def test_moments_of_many_layers_are_those_of_each(base, blocks):
    moments = input_moments(base, [Q, V, DOWN], blocks)
    for name in (Q, V, DOWN):
        alone = second_moments(layer_inputs(base, name, blocks))
        assert torch.allclose(moments[name], alone, rtol=1e-4, atol=1e-4 * alone.max().item())


def test_layers_with_the_same_inputs_share_their_moments(base, blocks):
    moments = input_moments(base, [Q, V], blocks[:2])
    assert moments[Q] is moments[V]


def test_the_error_is_that_of_the_outputs(layer):
    delta, inputs = layer(0)
    approximation = delta + 0.01 * torch.randn(delta.shape, generator=torch.Generator().manual_seed(1))
    found = output_error(delta, approximation, second_moments(inputs))
    assert found == pytest.approx(plain_output_error(delta, approximation, inputs), rel=1e-4)


def test_without_moments_the_error_is_that_of_the_weights():
    assert output_error(torch.eye(4), 0.5 * torch.eye(4)) == pytest.approx(0.25)


def test_deltas_of_zero_do_not_count(layer):
    delta, inputs = layer(0)
    nothing = {name: CompressedMatrix(name, tuple(delta.shape), ()) for name in ("a", "b")}
    H = second_moments(inputs)
    assert mean_output_error({"a": delta, "b": torch.zeros_like(delta)}, nothing, {"a": H, "b": H}) == 1.0
