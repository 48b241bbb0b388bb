"""Baselines on a whole model."""

import pytest
import torch

from lib.models import ModelError, projection_matrices
from lib.onebit.approximations import sign_rank_one
from lib.onebit.baselines import gptq_copy, gptq_model, round_to_nearest, rounded_copy
from lib.onebit.training.losses import kl_divergence


def weights(model):
    return {projection.name: projection.weight for projection in projection_matrices(model)}


def kl(teacher, student, blocks):
    with torch.no_grad():
        return kl_divergence(teacher(blocks.long()).logits, student(blocks.long()).logits).item()


def test_every_projection_is_rounded_and_nothing_else(teacher):
    rounded = rounded_copy(teacher, lambda weight: round_to_nearest(weight, 2))
    for name, parameter in rounded.named_parameters():
        original = teacher.get_parameter(name)
        expected = round_to_nearest(original, 2) if name in weights(teacher) else original
        assert parameter.equal(expected), name


def test_the_model_itself_is_left_as_it_was(teacher, blocks):
    before = {name: parameter.clone() for name, parameter in teacher.named_parameters()}
    rounded_copy(teacher, torch.zeros_like)
    gptq_copy(teacher, blocks, bits=2)
    assert all(parameter.equal(before[name]) for name, parameter in teacher.named_parameters())


def test_svid_can_be_put_into_a_model_untrained(teacher, blocks):
    assert 0 < kl(teacher, rounded_copy(teacher, sign_rank_one), blocks) < 50


def test_fewer_bits_are_further_from_the_teacher(teacher, blocks):
    distances = [
        kl(teacher, rounded_copy(teacher, lambda weight, bits=bits: round_to_nearest(weight, bits)), blocks)
        for bits in (8, 4, 2)
    ]
    assert distances == sorted(distances)


@pytest.mark.parametrize("act_order", [False, True])
def test_gptq_is_nearer_to_the_teacher_than_rounding(teacher, blocks, act_order):
    rounded = rounded_copy(teacher, lambda weight: round_to_nearest(weight, 3))
    quantised = gptq_copy(teacher, blocks, bits=3, act_order=act_order)
    assert kl(teacher, quantised, blocks) < kl(teacher, rounded, blocks)


def test_gptq_puts_every_projection_on_four_values_a_row(teacher, blocks):
    for weight in weights(gptq_copy(teacher, blocks, bits=2)).values():
        assert max(len(row.unique()) for row in weight) <= 4


def test_gptq_at_eight_bits_changes_next_to_nothing(teacher, blocks):
    assert kl(teacher, gptq_copy(teacher, blocks, bits=8), blocks) < 1e-2


def test_each_block_is_calibrated_on_what_the_quantised_blocks_before_it_put_out(teacher, blocks, monkeypatch):
    seen = {}

    def halving(weight, hessian, bits, *, name, **_):
        seen[name] = hessian
        return weight / 2

    monkeypatch.setattr(gptq_model, "gptq", halving)
    halved = gptq_copy(teacher, blocks, bits=2)
    for number in (0, 1):
        name, inputs = f"model.layers.{number}.self_attn.q_proj", []
        halved.get_submodule(name).register_forward_pre_hook(lambda _, x, inputs=inputs: inputs.append(x[0]))
        with torch.no_grad():
            halved(blocks.long())
        X = inputs[0].flatten(0, 1).double()
        assert (seen[f"{name}.weight"] - X.T @ X).norm() < 1e-4 * (X.T @ X).norm()


def test_a_broken_weight_is_named(teacher, blocks):
    teacher.model.layers[1].mlp.gate_proj.weight.data[0, 0] = float("inf")
    for quantise in (lambda: rounded_copy(teacher, torch.sign), lambda: gptq_copy(teacher, blocks, bits=2)):
        with pytest.raises(ValueError, match=r"model\.layers\.1\.mlp\.gate_proj\.weight holds 1 weights"):
            quantise()


def test_a_model_without_projections_is_refused():
    with pytest.raises(ModelError, match="no projections"):
        rounded_copy(torch.nn.Linear(2, 2), torch.sign)
