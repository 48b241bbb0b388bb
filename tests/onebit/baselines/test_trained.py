"""The trained baselines: two-bit min-max layers and BitNet's layer."""

import pytest
import torch

from lib.onebit.approximations import bitnet_centred
from lib.onebit.baselines import BitNetForm, BitNetLinear, MinMaxForm, MinMaxLinear, SignScalarForm, round_to_nearest
from lib.onebit.training import DistillationRecipe, distil, flipped_share, sign_snapshot, student_of


@pytest.fixture
def weight():
    return torch.randn(5, 9, generator=torch.Generator().manual_seed(0)) + 0.2


@pytest.fixture
def x():
    return torch.randn(2, 3, 9, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("symmetric", [True, False])
def test_a_min_max_layer_multiplies_by_rounded_weights(weight, x, symmetric):
    bias = torch.arange(5.0)
    expected = x @ round_to_nearest(weight, 2, symmetric).T + bias
    assert torch.allclose(MinMaxLinear(weight, bias, symmetric=symmetric)(x), expected, atol=1e-6)


def test_its_gradient_passes_through_the_rounding(weight, x):
    layer = MinMaxLinear(weight)
    layer(x).sum().backward()
    assert torch.allclose(layer.weight.grad, x.flatten(0, 1).sum(0).expand(5, 9))


def test_one_symmetric_bit_is_refused(weight):
    with pytest.raises(ValueError, match="symmetric grid has 2 to 8 bits, got 1"):
        MinMaxLinear(weight, bits=1)


def test_the_papers_bitnet_normalises_the_product(weight, x):
    centred = weight - weight.mean()
    expected = torch.nn.functional.layer_norm(x @ torch.sign(centred).T, (5,)) * centred.abs().mean()
    assert torch.allclose(BitNetLinear(weight)(x), expected, atol=1e-5)


def test_the_repositorys_bitnet_normalises_the_inputs(weight, x):
    expected = torch.nn.functional.layer_norm(x, (9,)) @ bitnet_centred(weight).T
    assert torch.allclose(BitNetLinear(weight, variant="repository")(x), expected, atol=1e-5)


def test_bitnets_flips_are_those_of_the_centred_weights(weight):
    layer = torch.nn.ModuleDict({"a": BitNetLinear(weight)})
    snapshot = sign_snapshot(layer)
    layer["a"].latent.data += 100  # the mean moves along: no sign changes
    assert flipped_share(layer, snapshot) == 0


@pytest.mark.parametrize("form", [MinMaxForm(), MinMaxForm(symmetric=False), BitNetForm(), BitNetForm("repository")])
def test_they_are_distilled_like_a_onebit_student(teacher, blocks, form):
    student = student_of(teacher, form.make_layer)
    result = distil(student, teacher, blocks, DistillationRecipe(steps=30, batch=8, learning_rate=3e-3))
    assert result.history[-1].loss < result.history[0].loss


def test_a_student_without_latent_weights_counts_no_flips(teacher, blocks):
    result = distil(student_of(teacher, MinMaxForm().make_layer), teacher, blocks, DistillationRecipe(steps=2))
    assert result.flipped != result.flipped


@pytest.mark.parametrize("form", [MinMaxForm(), SignScalarForm(), BitNetForm()])
def test_an_all_zero_matrix_is_named(teacher, form):
    teacher.model.layers[0].mlp.up_proj.weight.data.zero_()
    with pytest.raises(ValueError, match=r"layers\.0\.mlp\.up_proj\.weight is all zero"):
        student_of(teacher, form.make_layer)


def test_an_unknown_variant_is_named(weight):
    with pytest.raises(ValueError, match="no variant 'b158'; choose one of paper, repository"):
        BitNetLinear(weight, variant="b158")
