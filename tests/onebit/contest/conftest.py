import pytest
import torch

from lib.models import LoadedModel
from lib.models.choices import choice_task
from lib.models.tiny import TinyRecipe, build_tiny
from lib.onebit.training.setting import Setting

VOCABULARY = 64


@pytest.fixture
def setting():
    """An untrained model whose layers differ, and random tokens in place of text."""
    model = build_tiny(TinyRecipe(width=32, blocks=2, inner=40, steps=1, vocabulary=VOCABULARY)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(8)
    dice = torch.Generator().manual_seed(3)
    blocks = [torch.randint(0, VOCABULARY, (24, 12), generator=dice, dtype=torch.int32) for _ in range(3)]

    return Setting(
        LoadedModel("tiny", None, model, None), *blocks, corpus=None
    )  # no method asks what the text is made of


@pytest.fixture
def task(setting):
    return choice_task(setting.test, continuation=4)
