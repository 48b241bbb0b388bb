import builtins

import pytest
import torch

from lib.corpora.tasks import make_task
from lib.delta_come.baselines import train_lora
from lib.delta_come.errors import DeltaError
from lib.models import LoadedModel
from lib.models.finetuning import Schedule
from tests.delta_come.contest.pairs import tiny_base

SCHEDULE = Schedule(steps=8, batch=8, learning_rate=3e-2, warmup=2)


@pytest.fixture(scope="module")
def base() -> LoadedModel:
    return tiny_base()


@pytest.fixture(scope="module")
def items():
    return list(make_task("chains", 32, 1).train)


@pytest.fixture(scope="module")
def ranks(base):
    names = [name for name, _ in base.model.named_parameters() if "_proj.weight" in name]
    return {name: 1 + number % 3 for number, name in enumerate(names)}


@pytest.fixture(scope="module")
def trained(base, items, ranks):
    pytest.importorskip("peft")
    return train_lora(base, items, ranks, SCHEDULE)


def test_every_projection_gets_the_ranks_asked_for(trained, ranks):
    assert {name: len(matrix.A) for name, matrix in trained.stored.matrices.items()} == ranks


def test_bytes_are_those_of_two_fp16_factors(trained, ranks):
    shapes = {name: matrix.shape for name, matrix in trained.stored.matrices.items()}
    assert trained.stored.true_bytes == sum(2 * ranks[name] * sum(shapes[name]) for name in ranks)


def test_the_loss_falls_and_the_base_stays(trained, base):
    assert trained.losses[-1] < 0.9 * trained.losses[0]
    assert all(weight.grad is None for weight in base.model.parameters())
    assert not any("lora" in name for name, _ in base.model.named_modules())


def test_the_same_seed_gives_the_same_lora(trained, base, items, ranks):
    again = train_lora(base, items, ranks, SCHEDULE)
    name = next(iter(ranks))
    assert torch.equal(again.stored.matrices[name].delta(), trained.stored.matrices[name].delta())
    assert trained.stored.matrices[name].delta().abs().max() > 0


def test_a_missing_package_is_named(base, items, ranks, monkeypatch):
    real = builtins.__import__

    def without_peft(name, *arguments, **named):
        if name == "peft":
            raise ImportError("no peft")
        return real(name, *arguments, **named)

    monkeypatch.setattr(builtins, "__import__", without_peft)
    with pytest.raises(DeltaError, match="pip install peft"):
        train_lora(base, items, ranks, SCHEDULE)
