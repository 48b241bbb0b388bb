import math

import pytest
import torch

from lib.models.quality import measure_quality
from lib.models.tiny import TinyRecipe, build_tiny


@pytest.fixture
def model():
    return build_tiny(TinyRecipe(width=32, blocks=1, inner=32, steps=1, vocabulary=50, length=8))


@pytest.fixture
def blocks():
    return torch.randint(0, 50, (37, 8), generator=torch.Generator().manual_seed(0), dtype=torch.int32)


def test_perplexity_and_accuracy_are_those_of_one_plain_pass(model, blocks):
    with torch.inference_mode():
        logits = model(blocks.long()).logits[:, :-1].double()
    targets = blocks[:, 1:].long()
    expected = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten()).exp().item()
    quality = measure_quality(model, blocks)
    assert quality.perplexity == pytest.approx(expected, rel=1e-6)
    assert quality.accuracy == (logits.argmax(-1) == targets).double().mean().item()
    assert quality.tokens == 37 * 7


def test_a_model_that_knows_nothing_has_the_vocabularys_perplexity(model, blocks):
    model.lm_head.weight.data.zero_()
    assert measure_quality(model, blocks).perplexity == pytest.approx(50, rel=1e-5)


def test_the_mode_of_training_is_left_as_it_was(model, blocks):
    model.train()
    measure_quality(model, blocks)
    assert model.training


def test_a_broken_model_has_no_perplexity(model, blocks):
    model.lm_head.weight.data.fill_(float("nan"))
    assert math.isnan(measure_quality(model, blocks).perplexity)
