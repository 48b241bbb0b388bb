import pytest
import torch
from torch import nn

from lib.onebit.checkpoint import CheckpointError
from lib.onebit.training import (
    OneBitForm,
    OneBitLinear,
    flipped_by_kind,
    flipped_share,
    onebit_layers,
    packed_layers,
    sign_snapshot,
    student_of,
)


def test_the_seven_projections_of_every_block_are_replaced_and_nothing_else(teacher):
    student = student_of(teacher, OneBitForm().make_layer)
    assert len(dict(onebit_layers(student))) == 7 * 2
    assert [name for name, module in student.named_modules() if isinstance(module, nn.Linear)] == ["lm_head"]


def test_only_the_new_layers_are_trained(teacher):
    student = student_of(teacher, OneBitForm().make_layer)
    trained = {name.rpartition(".")[2] for name, parameter in student.named_parameters() if parameter.requires_grad}
    assert trained == {"latent", "input_scale", "output_scale"}
    frozen = {name for name, parameter in student.named_parameters() if not parameter.requires_grad}
    assert "model.embed_tokens.weight" in frozen
    assert "model.norm.weight" in frozen


def test_the_teacher_is_left_as_it_was(teacher):
    before = {name: (value.clone(), value.requires_grad) for name, value in teacher.named_parameters()}
    student_of(teacher, OneBitForm().make_layer)
    for name, parameter in teacher.named_parameters():
        assert parameter.equal(before[name][0])
        assert parameter.requires_grad == before[name][1]


def test_a_student_without_norm_computes_what_the_dequantised_teacher_does(teacher, blocks):
    student = student_of(teacher, OneBitForm(post_norm=False).make_layer)
    for name, layer in onebit_layers(student):
        teacher.get_submodule(name).weight.data.copy_(layer.dequantise())
    with torch.no_grad():
        assert torch.allclose(student(blocks.long()).logits, teacher(blocks.long()).logits, atol=1e-3)


def test_biases_are_kept(teacher):
    linear = teacher.model.layers[0].self_attn.q_proj
    linear.bias = nn.Parameter(torch.arange(32.0))
    student = student_of(teacher, OneBitForm().make_layer)
    assert student.model.layers[0].self_attn.q_proj.bias.tolist() == list(range(32))
    assert student.model.layers[0].self_attn.k_proj.bias is None


def test_flips_are_counted_over_all_layers(teacher):
    student = student_of(teacher, OneBitForm().make_layer)
    snapshot = sign_snapshot(student)
    assert flipped_share(student, snapshot) == 0
    layer: OneBitLinear = student.model.layers[1].mlp.down_proj
    layer.latent.data.neg_()
    total = sum(layer.latent.numel() for _, layer in onebit_layers(student))
    assert flipped_share(student, snapshot) == layer.latent.numel() / total


def test_flips_are_counted_by_the_kind_of_layer_too(teacher):
    student = student_of(teacher, OneBitForm().make_layer)
    snapshot = sign_snapshot(student)
    student.model.layers[1].mlp.down_proj.latent.data.neg_()
    shares = flipped_by_kind(student, snapshot)
    assert len(shares) == 7
    assert shares.pop("down_proj") == 0.5
    assert set(shares.values()) == {0}


def test_what_is_kept_multiplies_like_the_layer(teacher):
    student = student_of(teacher, OneBitForm().make_layer)
    packed = packed_layers(student)
    assert list(packed) == [name for name, _ in onebit_layers(student)]
    for name, layer in onebit_layers(student):
        assert torch.allclose(packed[name].dequantise(), layer.dequantise(), rtol=2e-3)


def test_a_value_that_fp16_cannot_hold_is_named(teacher):
    student = student_of(teacher, OneBitForm().make_layer)
    student.model.layers[0].mlp.up_proj.output_scale.data[3] = 1e6
    with pytest.raises(CheckpointError, match=r"model\.layers\.0\.mlp\.up_proj: a value vector"):
        packed_layers(student)


def test_a_model_without_projections_is_refused():
    with pytest.raises(ValueError, match="Sequential has no projections"):
        student_of(nn.Sequential(nn.Linear(2, 2)), OneBitForm().make_layer)


def test_a_broken_weight_is_named_by_its_place_in_the_model(teacher):
    teacher.model.layers[1].mlp.up_proj.weight.data[3, 4] = float("nan")
    with pytest.raises(ValueError, match=r"model\.layers\.1\.mlp\.up_proj\.weight holds 1 weights that are NaN"):
        student_of(teacher, OneBitForm().make_layer)
