import pytest
import torch

from lib.onebit.training import SVID_KEEPING_WEIGHTS, OneBitForm, student_of
from lib.onebit.training.magnitudes import layer_magnitudes


def by_name(model, blocks):
    return {one.name: one for one in layer_magnitudes(model, blocks)}


def test_every_projection_is_measured_in_order(teacher, blocks):
    found = layer_magnitudes(teacher, blocks)
    assert [one.block for one in found] == [0] * 7 + [1] * 7
    assert [one.type for one in found[:7]] == ["q", "k", "v", "o", "gate", "up", "down"]


def test_a_dense_layers_size_is_that_of_its_outputs(teacher, blocks):
    seen = []
    teacher.model.layers[1].mlp.up_proj.register_forward_hook(lambda *arguments: seen.append(arguments[2]))
    with torch.no_grad():
        teacher(blocks.long())
    outputs = seen[0].double()
    found = by_name(teacher, blocks)["model.layers.1.mlp.up_proj"]
    assert found.std == found.product_std == pytest.approx(outputs.square().mean().sqrt().item(), rel=1e-5)
    assert found.product_largest == pytest.approx(outputs.abs().max().item(), rel=1e-5)


def test_behind_the_norm_every_output_has_unit_size_and_before_it_the_values_matter(teacher, blocks):
    student = student_of(teacher, OneBitForm().make_layer)
    before = by_name(student, blocks)["model.layers.0.mlp.gate_proj"]
    student.model.layers[0].mlp.gate_proj.output_scale.data.mul_(10)
    after = by_name(student, blocks)["model.layers.0.mlp.gate_proj"]
    assert before.std == pytest.approx(1, abs=0.02)
    assert after.std == pytest.approx(1, abs=0.02)
    assert after.product_std == pytest.approx(10 * before.product_std, rel=1e-3)


def test_value_vectors_restore_the_teachers_magnitude(teacher, blocks):
    student = student_of(teacher, OneBitForm(SVID_KEEPING_WEIGHTS, post_norm=False).make_layer)
    name = "model.layers.0.self_attn.q_proj"
    ratio = by_name(student, blocks)[name].std / by_name(teacher, blocks)[name].std
    assert 0.5 < ratio < 1.5


def test_values_beyond_fp16_are_counted(teacher, blocks):
    student = student_of(teacher, OneBitForm().make_layer)
    layer = student.model.layers[1].mlp.up_proj
    assert by_name(student, blocks)["model.layers.1.mlp.up_proj"].overflows == 0
    layer.output_scale.data.mul_(1e9)
    found = by_name(student, blocks)["model.layers.1.mlp.up_proj"]
    assert found.overflows > 0.99
    assert found.std == pytest.approx(1, abs=0.02)
