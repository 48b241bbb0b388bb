import json
from dataclasses import replace

import pytest
import torch

from lib import artifacts
from lib.checkout import Checkout
from lib.models import ModelError, load
from lib.models.tiny import TEACHERS, TinyRecipe, build_tiny, load_teacher, teacher_corpus, teacher_folder

RECIPE = TinyRecipe(
    width=32, blocks=1, inner=48, steps=3, vocabulary=300, packages=("packaging", "jinja2", "click"), length=16, batch=4
)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    return Checkout(tmp_path_factory.mktemp("checkout"))


@pytest.fixture(autouse=True)
def _own_store(monkeypatch):
    monkeypatch.delenv(artifacts.STORE, raising=False)


def test_a_teacher_loads_like_any_checkpoint_of_the_hub(checkout):
    loaded = load(teacher_folder(RECIPE, checkout))
    assert loaded.model.dtype == torch.float32
    assert loaded.model.config.hidden_size == 32
    assert len(loaded.tokenizer) == loaded.model.config.vocab_size == 300


def test_it_is_trained_once(checkout, monkeypatch):
    first = teacher_folder(RECIPE, checkout)
    monkeypatch.setattr("lib.models.tiny._train_into", None)
    assert teacher_folder(RECIPE, checkout) == first
    reordered = replace(RECIPE, packages=("click", "jinja2", "packaging"))
    assert teacher_folder(reordered, checkout) == first


def test_another_seed_is_another_teacher(checkout):
    assert teacher_folder(replace(RECIPE, seed=1), checkout) != teacher_folder(RECIPE, checkout)


def test_it_tells_how_its_training_went(checkout):
    report = json.loads((teacher_folder(RECIPE, checkout) / "training.json").read_text())
    assert report["tokens"] == 3 * 4 * 16
    assert 1 < report["validation"]["perplexity"] < 1000


def test_nothing_unfinished_is_left(checkout):
    teacher_folder(RECIPE, checkout)
    assert not list((checkout.root / "artifacts").glob(".teacher-*.unfinished"))


def test_it_generates(checkout):
    loaded = load_teacher(RECIPE, checkout)
    ids = loaded.tokenizer("A template", return_tensors="pt").input_ids
    assert loaded.model.generate(ids, max_new_tokens=4, do_sample=False).shape[1] <= ids.shape[1] + 4


def test_its_corpus_has_text_that_it_never_saw(checkout):
    assert set(teacher_corpus(RECIPE, checkout).test["group"]) == {"click"}


def test_building_leaves_the_callers_random_state_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    build_tiny(RECIPE)
    assert torch.rand(3).equal(expected)


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"width": 100}, "multiple of 32, got 100"), ({"length": 1}, "2 to 512 tokens, got 1")],
)
def test_an_impossible_recipe_is_refused(changes, message):
    with pytest.raises(ModelError, match=message):
        replace(RECIPE, **changes)


def test_the_ladder_has_three_widths_between_one_and_six_million_parameters():
    sizes = {}
    for name in ("narrow", "medium", "wide"):
        with torch.device("meta"):
            sizes[name] = build_tiny(TEACHERS[name]).num_parameters()
    assert 1e6 <= sizes["narrow"] < sizes["medium"] < sizes["wide"] <= 6e6
    assert len({recipe.width for recipe in TEACHERS.values()}) == len(TEACHERS)
