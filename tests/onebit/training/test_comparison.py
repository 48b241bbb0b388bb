from types import SimpleNamespace

import pytest
import torch

from lib.onebit.training import DistillationRecipe, OneBitForm
from lib.onebit.training import comparison as module
from lib.onebit.training.comparison import Outcome, Variant, run_all, run_variant
from lib.onebit.training.divergence import DivergedError

RECIPE = DistillationRecipe(steps=6, batch=4, learning_rate=9.0)


@pytest.fixture
def setting(teacher, blocks):
    return SimpleNamespace(model=teacher, train=blocks[:24], validation=blocks[24:32], test=blocks[32:])


def curve(*losses):
    return Outcome(Variant("a", OneBitForm(), 1e-3), steps=tuple(range(1, len(losses) + 1)), losses=losses)


def test_a_variant_is_trained_at_its_own_rate_and_measured(setting):
    outcome = run_variant(Variant("official", OneBitForm(), 1e-3), setting, RECIPE)
    assert outcome.steps == (1, 2, 3, 4, 5, 6)
    assert len(outcome.hidden) == 2
    assert len(outcome.magnitudes) == 14
    assert 1 < outcome.perplexity < 1e4
    assert "official: mean loss" in repr(outcome)


def test_students_of_one_comparison_see_the_same_text_and_leave_the_teacher_alone(setting):
    before = {name: weight.clone() for name, weight in setting.model.state_dict().items()}
    found = run_all([Variant(name, OneBitForm(), 1e-3) for name in ("a", "b")], setting, RECIPE)
    assert found["a"].losses == found["b"].losses
    assert all(torch.equal(weight, before[name]) for name, weight in setting.model.state_dict().items())


def test_a_training_that_diverges_is_an_outcome(setting, monkeypatch):
    def diverge(_student, _teacher, _blocks, recipe):
        assert recipe.learning_rate == 1e-3, "the variant's rate replaces the recipe's"
        raise DivergedError("the loss is nan", 3, None)

    monkeypatch.setattr(module, "distil", diverge)
    outcome = run_variant(Variant("wild", OneBitForm(), 1e-3), setting, RECIPE)
    assert outcome.diverged_at == 3
    assert outcome.perplexity is outcome.area is outcome.final_loss is None
    assert repr(outcome) == "wild: diverged after 3 steps"


def test_a_student_whose_perplexity_is_no_number_has_diverged(setting, monkeypatch):
    monkeypatch.setattr(module, "measure_quality", lambda *_: SimpleNamespace(perplexity=float("nan")))
    assert run_variant(Variant("wild", OneBitForm(), 1e-3), setting, RECIPE).diverged_at == 6


def test_the_area_is_the_mean_and_the_end_the_last_tenth():
    outcome = curve(*range(20, 0, -1))
    assert outcome.area == 10.5
    assert outcome.final_loss == 1.5


def test_a_loss_that_is_never_reached_has_no_step():
    assert curve(5.0, 3.0, 4.0).steps_to(3.5) == 2
    assert curve(5.0, 3.0, 4.0).steps_to(2.9) is None
