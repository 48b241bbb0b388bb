import copy

import pytest
import torch

from lib import artifacts
from lib.checkout import Checkout
from lib.models.tiny import TinyRecipe, build_tiny

VOCABULARY = 64


def finetuned_from(base, seed=0, size=0.05):
    """A copy of a model whose projections changed by a few strong directions and some noise, the rest a little."""
    generator, model = torch.Generator().manual_seed(seed), copy.deepcopy(base)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            weight.add_(torch.randn(weight.shape, generator=generator) * size / 5)
            if "_proj.weight" in name:
                m, n = weight.shape
                weight.add_(torch.randn(m, 4, generator=generator) @ torch.randn(4, n, generator=generator) * size)
    return model


@pytest.fixture(scope="session")
def base():
    """An untrained model of two blocks with weights large enough that its layers differ from one another."""
    model = build_tiny(TinyRecipe(width=64, blocks=2, inner=96, steps=1, vocabulary=VOCABULARY)).eval()
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim > 1:
                weight.mul_(8)
    return model


@pytest.fixture(scope="session")
def finetuned(base):
    return finetuned_from(base)


@pytest.fixture(scope="session")
def blocks():
    return torch.randint(0, VOCABULARY, (40, 32), generator=torch.Generator().manual_seed(3), dtype=torch.int32)


@pytest.fixture
def layer():
    """A delta with a long tail and the inputs of its layer, which are correlated."""
    return make_layer


def make_layer(seed, m=48, n=40, tokens=400):
    generator = torch.Generator().manual_seed(seed)
    strengths = torch.linspace(1, 0.05, min(m, n))
    left = torch.linalg.qr(torch.randn(m, len(strengths), generator=generator)).Q
    right = torch.linalg.qr(torch.randn(n, len(strengths), generator=generator)).Q
    inputs = torch.randn(tokens, n, generator=generator) @ torch.randn(n, n, generator=generator) * 0.3
    return (left * strengths) @ right.T, inputs


def hessian_of(inputs):
    return 2 / len(inputs) * inputs.T @ inputs


def output_error(delta, approximation, inputs):
    """Relative squared error at the layer's outputs."""
    return (((delta - approximation) @ inputs.T).square().sum() / (delta @ inputs.T).square().sum()).item()


@pytest.fixture(scope="session")
def subject(tmp_path_factory):
    """A pair that was trained for a few steps, with its task and its texts."""
    from lib.delta_come.subject import Sources, load_subject
    from lib.models import finetuning

    shape = finetuning.TinyShape(width=32, blocks=1, inner=48, heads=2, key_heads=1)
    settings = {"steps": 12, "batch": 8, "learning_rate": 2e-2, "items": 60, "warmup": 2}
    base = finetuning.TinyBase(shape=shape, **settings)
    recipe = finetuning.FineTuneRecipe(base=base, task="chains", regime="large", **settings)
    store = Checkout(tmp_path_factory.mktemp("checkout"))
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv(artifacts.STORE, raising=False)  # a store of its own
        folders = finetuning.base_folder(base, store), finetuning.finetuned_folder(recipe, store)
        return load_subject(Sources("a pair", *folders, recipe, "tiny"), items=12)
