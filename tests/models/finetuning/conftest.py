from dataclasses import replace

import pytest

from lib import artifacts
from lib.checkout import Checkout
from lib.models.finetuning import FineTuneRecipe, TinyBase, TinyShape

SHAPE = TinyShape(width=16, blocks=1, inner=24, heads=2, key_heads=1)
BASE = TinyBase(shape=SHAPE, steps=4, batch=8, learning_rate=1e-2, items=40, warmup=2)
RECIPE = FineTuneRecipe(
    base=BASE, task="chains", regime="large", steps=6, batch=8, learning_rate=1e-2, items=40, warmup=2
)


@pytest.fixture(scope="session")
def store(tmp_path_factory):
    """A checkout with an artifact store of its own."""
    return Checkout(tmp_path_factory.mktemp("checkout"))


@pytest.fixture(autouse=True)
def _own_store(monkeypatch):
    monkeypatch.delenv(artifacts.STORE, raising=False)


@pytest.fixture
def recipe():
    return replace(RECIPE)
