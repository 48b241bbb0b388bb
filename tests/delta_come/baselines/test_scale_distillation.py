import copy
from dataclasses import replace

import pytest
import torch

from lib.delta_come import take_pair
from lib.delta_come.baselines import ScaleRecipe, distil_scales, sign_passes, without_data
from lib.delta_come.errors import DeltaError
from tests.delta_come.models import biased_qwen, finetune_of

RECIPE = ScaleRecipe(steps=30, batch=4, length=16, learning_rates=(1e-2,))


@pytest.fixture(scope="module")
def pair():
    base = biased_qwen()
    return base, finetune_of(base)


@pytest.fixture(scope="module")
def tokens():
    return torch.randint(0, 61, (8, 16), generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def stored(pair):
    return without_data("bitdelta", take_pair(*pair), sign_passes)


@pytest.fixture(scope="module")
def trained(pair, stored, tokens):
    return distil_scales(stored, *pair, tokens, RECIPE)


def logit_error(pair, stored, tokens):
    base, finetuned = pair
    model = copy.deepcopy(finetuned)
    with torch.no_grad():
        for name, matrix in stored.matrices.items():
            model.get_parameter(name).copy_(base.get_parameter(name) + matrix.delta())
        return (model(tokens).logits - finetuned(tokens).logits).square().mean().item()


def test_trained_scales_bring_the_logits_closer_to_the_finetunes(pair, stored, trained, tokens):
    assert logit_error(pair, trained, tokens) < logit_error(pair, stored, tokens)


def test_scales_that_are_twice_too_large_are_mended(pair, stored, tokens):
    doubled = {
        name: replace(matrix, scales=tuple(2 * scales for scales in matrix.scales))
        for name, matrix in stored.matrices.items()
    }
    spoilt = replace(stored, matrices=doubled)
    mended = distil_scales(spoilt, *pair, tokens, RECIPE)
    assert logit_error(pair, mended, tokens) < 0.8 * logit_error(pair, spoilt, tokens)


def test_only_scales_change_and_bytes_stay(stored, trained):
    assert trained.true_bytes == stored.true_bytes
    for name, matrix in stored.matrices.items():
        assert torch.equal(matrix.signs[0], trained.matrices[name].signs[0])
        assert trained.matrices[name].scales[0].dtype == torch.half


def test_base_and_finetune_are_left_as_they_were(pair, trained):
    for model in pair:
        assert all(weight.grad is None and weight.requires_grad for weight in model.parameters())


def test_the_same_text_gives_the_same_scales(pair, stored, trained, tokens):
    again = distil_scales(stored, *pair, tokens, RECIPE)
    name = next(iter(stored.matrices))
    assert torch.equal(again.matrices[name].scales[0], trained.matrices[name].scales[0])


def test_a_text_below_one_sequence_is_refused(pair, stored, tokens):
    with pytest.raises(DeltaError, match="sequences of 16 tokens and the text has 15"):
        distil_scales(stored, *pair, tokens.flatten()[:15], RECIPE)


def test_the_rate_with_the_smaller_loss_is_kept(pair, stored, tokens, trained):
    both = distil_scales(stored, *pair, tokens, replace(RECIPE, learning_rates=(1e-6, 1e-2, 1e6)))
    assert both.matrices.keys() == trained.matrices.keys()
    assert all(both.matrices[name].scales == trained.matrices[name].scales for name in trained.matrices)
