import pytest
import torch

from lib.models.tiny import TinyRecipe, build_tiny

VOCABULARY = 64


@pytest.fixture
def teacher():
    """An untrained model with weights large enough that its layers differ from one another."""
    model = build_tiny(TinyRecipe(width=32, blocks=2, inner=40, steps=1, vocabulary=VOCABULARY)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(8)
    return model


@pytest.fixture
def blocks():
    return torch.randint(0, VOCABULARY, (40, 12), generator=torch.Generator().manual_seed(3), dtype=torch.int32)
