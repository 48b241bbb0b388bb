import pytest
import torch

from lib.models import ModelError, pretraining
from lib.models.pretraining import pretrain
from lib.models.tiny import TinyRecipe, build_tiny

RECIPE = TinyRecipe(width=32, blocks=1, inner=32, steps=8, vocabulary=64, length=8, batch=3, warmup=2)


class Interrupted(Exception):
    pass


@pytest.fixture(autouse=True)
def _save_every_second_step(monkeypatch):
    monkeypatch.setattr(pretraining, "_SAVE_EVERY_S", 0.0)
    monkeypatch.setattr(pretraining, "_LOG_EVERY", 2)


@pytest.fixture
def blocks():
    return torch.randint(0, 64, (10, 8), generator=torch.Generator().manual_seed(1), dtype=torch.int32)


def trained(blocks, state, recipe=RECIPE):
    model = build_tiny(recipe)
    return model, pretrain(model, blocks, recipe, state)


def interrupt_at(step, monkeypatch):
    rate = pretraining._rate

    def interrupting(at, recipe):
        if at == step:
            raise Interrupted
        return rate(at, recipe)

    monkeypatch.setattr(pretraining, "_rate", interrupting)


def assert_equal_weights(model, other):
    for (name, one), two in zip(model.named_parameters(), other.parameters(), strict=True):
        assert one.equal(two), name


def test_the_same_seed_gives_the_same_weights_bit_for_bit(blocks, tmp_path):
    first, losses = trained(blocks, tmp_path / "a")
    second, again = trained(blocks, tmp_path / "b")
    assert_equal_weights(first, second)
    assert losses == again


def test_another_seed_gives_other_weights(blocks, tmp_path):
    other = TinyRecipe(**{**RECIPE.__dict__, "seed": 1})
    assert trained(blocks, tmp_path / "a")[1] != trained(blocks, tmp_path / "b", other)[1]


@pytest.mark.parametrize("step", [2, 5, 7])
def test_an_interrupted_training_ends_as_if_it_had_not_been(blocks, tmp_path, monkeypatch, step):
    whole, losses = trained(blocks, tmp_path / "whole")
    with monkeypatch.context() as interruption:
        interrupt_at(step, interruption)
        with pytest.raises(Interrupted):
            trained(blocks, tmp_path / "state")
    resumed, continued = trained(blocks, tmp_path / "state")
    assert_equal_weights(whole, resumed)
    assert continued == losses


def test_it_learns_what_it_sees_again_and_again(tmp_path):
    recipe = TinyRecipe(width=32, blocks=1, inner=32, steps=60, vocabulary=64, length=8, batch=2, warmup=5)
    _, losses = trained(torch.arange(16, dtype=torch.int32).view(2, 8), tmp_path / "state", recipe)
    assert losses[-1] < losses[0] / 3


def test_every_block_is_read_once_before_one_is_read_twice():
    order = pretraining._order(10, RECIPE)
    assert len(order) == 24
    assert sorted(order[:10].tolist()) == list(range(10))
    assert order[10:20].tolist() != order[:10].tolist()


def test_the_learning_rate_warms_up_and_ends_at_a_tenth():
    recipe = TinyRecipe(width=32, blocks=1, inner=32, steps=1000, warmup=10, learning_rate=1.0)
    rates = [pretraining._rate(step, recipe) for step in range(1000)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) > 0.99
    assert rates[-1] == pytest.approx(0.1, abs=1e-4)


def test_a_loss_that_is_no_number_stops_the_training_and_names_the_step(blocks, tmp_path):
    model = build_tiny(RECIPE)
    model.model.norm.weight.data[0] = float("nan")
    with pytest.raises(ModelError, match=r"loss is nan at step 0 .*lower the learning rate"):
        pretrain(model, blocks, RECIPE, tmp_path / "state")
