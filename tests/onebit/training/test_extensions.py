import pytest
import torch
from torch import nn

from lib.onebit.svid import relative_error
from lib.onebit.training import SVID_KEEPING_WEIGHTS, DistillationRecipe, OneBitForm, distil, student_of
from lib.onebit.training.extensions import ExpertsForm, RankKForm
from lib.onebit.training.straight_through import straight_through_sign


@pytest.fixture
def linear():
    torch.manual_seed(0)
    return nn.Linear(20, 12)


@pytest.fixture
def x():
    return torch.randn(2, 3, 20, generator=torch.Generator().manual_seed(1))


def plain(linear):
    return OneBitForm(SVID_KEEPING_WEIGHTS, post_norm=False).make_layer(linear, "layer")


def dense(layer):
    return (straight_through_sign(layer.latent) * (layer.output_scales.T @ layer.input_scales)).detach()


def test_rank_one_is_the_papers_form_without_its_norm(linear, x):
    assert torch.allclose(RankKForm(1).make_layer(linear, "layer")(x), plain(linear)(x), atol=1e-4)


def test_one_expert_is_the_papers_form_without_its_norm(linear, x):
    assert torch.allclose(ExpertsForm(1).make_layer(linear, "layer")(x), plain(linear)(x), atol=1e-5)


def test_experts_start_alike_so_that_the_start_is_the_papers(linear, x):
    assert torch.allclose(ExpertsForm(4).make_layer(linear, "layer")(x), plain(linear)(x), atol=1e-5)


def test_every_rank_is_nearer_to_the_weight_and_the_full_rank_is_the_weight(linear):
    errors = [
        relative_error(linear.weight.detach(), dense(RankKForm(rank).make_layer(linear, "layer")))
        for rank in (1, 2, 4, 12)
    ]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 1e-10


def test_its_value_vectors_start_positive_in_the_first_pair(linear):
    layer = RankKForm(3).make_layer(linear, "layer")
    assert layer.input_scales[0].min() > 0
    assert layer.output_scales[0].min() > 0


def test_tokens_mix_experts_of_their_own(linear, x):
    layer = ExpertsForm(3).make_layer(linear, "layer")
    with torch.no_grad():
        layer.output_scales.mul_(torch.tensor([[1.0], [2.0], [3.0]]))
        layer.router.mul_(500)  # each token takes about one expert
        shares = (x @ layer.router).softmax(-1)
        expected = ((x * (shares @ layer.input_scales)) @ straight_through_sign(layer.latent).T) * (
            shares @ layer.output_scales
        ) + layer.bias
    assert torch.allclose(layer(x), expected, atol=1e-5)
    assert shares.argmax(-1).unique().numel() > 1


def test_the_bits_are_those_of_what_is_stored(linear):
    for form in (RankKForm(3), ExpertsForm(4)):
        layer = form.make_layer(nn.Linear(20, 12, bias=False), "layer")
        vectors = sum(parameter.numel() for name, parameter in layer.named_parameters() if name != "latent")
        assert form.bits_per_weight(12, 20) == pytest.approx(1 + 16 * vectors / (12 * 20))


@pytest.mark.parametrize("form", [RankKForm(2), ExpertsForm(2)])
def test_they_are_distilled_like_a_onebit_student(teacher, blocks, form):
    student = student_of(teacher, form.make_layer)
    result = distil(student, teacher, blocks, DistillationRecipe(steps=30, batch=8, learning_rate=3e-3))
    assert result.history[-1].loss < result.history[0].loss
    assert result.flipped > 0
    if isinstance(form, ExpertsForm):
        scales = student.model.layers[0].mlp.up_proj.input_scales
        assert not scales[0].equal(scales[1])
