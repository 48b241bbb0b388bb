import random

import pytest
import torch

from lib import artifacts
from lib.checkout import Checkout
from lib.corpora import load as load_corpus
from lib.corpora import load_tokenizer, tokenizer_folder
from lib.models.quiet import quiet_transformers
from lib.models.tiny import TinyRecipe, build_tiny

VOCABULARY = 64
WORDS = ["axis", "row", "norm", "mean", "sum", "array", "value", "index", "shape", "order", "sign", "scale"]


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


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    return Checkout(tmp_path_factory.mktemp("checkout"))


@pytest.fixture(scope="module")
def text_folder(tmp_path_factory):
    """A folder of texts with six groups, of which a tenth each is held out."""
    folder, dice = tmp_path_factory.mktemp("text"), random.Random(0)
    for group in range(6):
        (folder / str(group)).mkdir()
        for document in range(4):
            (folder / str(group) / f"{document}.txt").write_text(" ".join(dice.choices(WORDS, k=400)))
    return str(folder)


@pytest.fixture(scope="module")
def teacher_folder(tmp_path_factory, checkout, text_folder):
    """A folder in the hub's format: an untrained model with a tokenizer of that text."""
    folder = tmp_path_factory.mktemp("teacher")
    with pytest.MonkeyPatch.context() as patch, quiet_transformers():
        patch.delenv(artifacts.STORE, raising=False)
        load_tokenizer(tokenizer_folder(load_corpus(text_folder, checkout=checkout), 270, checkout)).save_pretrained(
            folder
        )
        build_tiny(TinyRecipe(width=32, blocks=1, inner=40, steps=1, vocabulary=270)).save_pretrained(folder)
    return str(folder)
