import pytest
import torch

from lib.onebit.training.output_size import largest_hidden, output_sizes


def test_value_vectors_bring_outputs_near_the_dense_layer_s_size(teacher, blocks):
    found = output_sizes(teacher, blocks)
    assert len(found) == 14
    for layer in found:
        assert 0.4 < layer.with_values < 1.3
        assert layer.without_values > 2 * layer.with_values


def test_signs_that_are_the_weights_up_to_a_scalar_are_off_by_exactly_that(teacher, blocks):
    for layer in teacher.model.layers:
        layer.mlp.up_proj.weight.data = layer.mlp.up_proj.weight.sign() / 8
    one = next(layer for layer in output_sizes(teacher, blocks) if layer.name.endswith("up_proj"))
    assert one.with_values == pytest.approx(1, rel=1e-4)
    assert one.without_values == pytest.approx(8, rel=1e-4)
    assert one.expected == pytest.approx(8, rel=1e-4)
    assert one.overflows == 0


def test_outputs_beyond_fp16_are_counted(teacher, blocks):
    teacher.model.layers[0].input_layernorm.weight.data.mul_(1e6)
    found = {layer.name: layer.overflows for layer in output_sizes(teacher, blocks)}
    assert found["model.layers.0.self_attn.q_proj"] > 0.9
    assert found["model.layers.1.mlp.up_proj"] == 0


def test_the_largest_hidden_state_is_that_of_the_block_s_output(teacher, blocks):
    with torch.no_grad():
        states = teacher(blocks.long(), output_hidden_states=True).hidden_states
    found = largest_hidden(teacher, blocks)
    assert found[0] == pytest.approx(states[1].abs().max().item(), rel=1e-5)
    assert len(found) == 2
