import json
from dataclasses import replace

import pytest
import torch

from lib import artifacts
from lib.corpora import CorpusError, tasks
from lib.models import ModelError, load, projection_matrices
from lib.models.finetuning import (
    FINETUNES,
    SHAPES,
    FineTuneRecipe,
    Schedule,
    TinyBase,
    TinyShape,
    base_folder,
    checkpoint_sha256,
    finetune_recipe,
    finetuned_folder,
    load_pair,
    tiny_recipe,
)
from lib.models.finetuning.shapes import build_shape, character_tokenizer


def test_a_pair_is_a_base_its_fine_tune_and_their_task(store, recipe):
    pair = load_pair(recipe, test=20, checkout=store)
    assert len(pair.losses) == recipe.steps
    assert (len(pair.task.train), len(pair.task.test)) == (40, 20)
    for before, after in zip(
        projection_matrices(pair.base.model), projection_matrices(pair.finetuned.model), strict=True
    ):
        assert before.name == after.name
        assert not before.weight.equal(after.weight)
        assert before.weight.dtype == after.weight.dtype == torch.float32


def test_it_is_trained_once(store, recipe, monkeypatch):
    first = finetuned_folder(recipe, store)
    monkeypatch.setattr("lib.models.finetuning.pairs.fit", None)
    assert finetuned_folder(recipe, store) == first
    assert finetuned_folder(replace(recipe, regime="small"), store) == first  # a label decides nothing
    assert not list((store.root / "artifacts").glob(".*.unfinished"))


@pytest.mark.parametrize("changes", [{"seed": 1}, {"learning_rate": 2e-2}, {"steps": 5}, {"task": "brackets"}])
def test_what_decides_the_weights_decides_the_folder(store, recipe, changes):
    assert finetuned_folder(replace(recipe, **changes), store) != finetuned_folder(recipe, store)


def test_items_made_by_other_code_make_another_base_and_another_fine_tune(store, recipe, monkeypatch):
    base, finetuned = base_folder(recipe.base, store), finetuned_folder(recipe, store)
    make_task = tasks.make_task
    monkeypatch.setattr(tasks, "make_task", lambda name, train, test, seed: make_task(name, train, test, seed + 1))
    assert base_folder(recipe.base, store) != base
    assert finetuned_folder(replace(recipe, base=str(base)), store) != finetuned


def test_another_base_is_another_fine_tune(store, recipe):
    other = replace(recipe, base=replace(recipe.base, seed=7))
    assert checkpoint_sha256(base_folder(other.base, store)) != checkpoint_sha256(base_folder(recipe.base, store))
    assert finetuned_folder(other, store) != finetuned_folder(recipe, store)


def test_equal_weights_in_another_family_are_another_base(store, recipe):
    shapes = [TinyShape(family, key_heads=2, tied=False) for family in ("llama", "mistral")]
    recipes = [replace(recipe, base=replace(recipe.base, shape=shape)) for shape in shapes]
    llama, mistral = (base_folder(each.base, store) for each in recipes)
    assert artifacts.sha256(llama / "model.safetensors") == artifacts.sha256(mistral / "model.safetensors")
    assert finetuned_folder(recipes[0], store) != finetuned_folder(recipes[1], store)
    types = [json.loads((finetuned_folder(each, store) / "config.json").read_text())["model_type"] for each in recipes]
    assert types == ["llama", "mistral"]


def test_a_folder_in_the_hubs_format_can_be_fine_tuned(store, recipe):
    folder = base_folder(recipe.base, store)
    assert finetuned_folder(replace(recipe, base=str(folder)), store) == finetuned_folder(recipe, store)


def test_it_tells_the_loss_of_every_step(store, recipe):
    report = json.loads((finetuned_folder(recipe, store) / "training.json").read_text())
    assert len(report["loss"]) == recipe.steps


@pytest.mark.parametrize("name", list(SHAPES))
def test_every_shape_is_stored_and_loaded(name, tmp_path):
    small = replace(SHAPES[name], width=16, blocks=1, inner=24)
    model, ids = build_shape(small, seed=0), torch.arange(6)[None]
    model.save_pretrained(tmp_path)
    character_tokenizer().save_pretrained(tmp_path)
    loaded = load(tmp_path)
    with torch.inference_mode():
        assert loaded.model(ids).logits.equal(model(ids).logits)
    assert loaded.model.config.tie_word_embeddings == SHAPES[name].tied


def test_the_shapes_differ_in_heads_biases_and_embedding():
    parameters = {}
    for name, shape in SHAPES.items():
        with torch.device("meta"):
            parameters[name] = dict(build_shape(shape, 0).named_parameters())
    k = "model.layers.0.self_attn.k_proj"
    assert parameters["grouped"][f"{k}.weight"].shape[0] < parameters["llama"][f"{k}.weight"].shape[0]
    assert {"grouped", "mistral"} == {name for name, found in parameters.items() if "lm_head.weight" in found}
    assert {"biased", "qwen2"} == {name for name, found in parameters.items() if f"{k}.bias" in found}
    assert 5e4 < sum(weight.numel() for weight in parameters["llama"].values()) < 1e6


def test_characters_come_back_as_they_were():
    tokenizer = character_tokenizer()
    text = "a=3 B|[{<~>}]\n 7*8\\'\""
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
    assert len(tokenizer(text)["input_ids"]) == len(text)


def test_building_a_shape_leaves_the_callers_random_state_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    build_shape(TinyShape(width=16, blocks=1, inner=16, heads=2, key_heads=2), seed=9)
    assert torch.rand(3).equal(expected)


def test_named_recipes_pair_every_task_with_two_regimes():
    assert len(FINETUNES) == 12
    for name, recipe in FINETUNES.items():
        assert name.endswith(f"{recipe.task}-{recipe.regime}")
        small, large = (finetune_recipe(name.replace(recipe.regime, regime)) for regime in ("small", "large"))
        assert small.steps * small.learning_rate < large.steps * large.learning_rate


def test_a_tiny_pairs_seed_is_that_of_base_and_fine_tune():
    recipe = finetune_recipe("tiny-chains-large", seed=5)
    assert recipe.seed == recipe.base.seed == 5
    assert recipe == tiny_recipe("chains", "large", seed=5)


def test_smollm2s_fine_tunes_take_under_twenty_minutes_at_450_tokens_a_second():
    for name, recipe in FINETUNES.items():
        if name.startswith("smollm2"):
            assert recipe.steps * recipe.batch * 64 / 450 < 20 * 60  # no item has over 64 tokens on average
            assert recipe.bf16 is None


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: finetune_recipe("tiny"), ModelError, "no fine-tune 'tiny'; there are tiny-chains-small"),
        (lambda: tiny_recipe(shape="huge"), ModelError, "no tiny shape 'huge'"),
        (lambda: tiny_recipe(regime="odd"), ModelError, "one of small, large, got 'odd'"),
        (lambda: Schedule(steps=0, batch=1, learning_rate=1), ModelError, "steps is at least 1, got 0"),
        (lambda: TinyShape(family="gpt"), ModelError, "no family 'gpt'"),
        (lambda: TinyShape(width=30), ModelError, "4 heads must divide the width 30"),
        (lambda: TinyShape("qwen2", biases=True), ModelError, "for the family llama only"),
    ],
)
def test_what_cannot_be_is_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_an_unknown_task_is_refused_before_anything_is_trained(store, recipe):
    with pytest.raises(CorpusError, match="no task 'poems'"):
        finetuned_folder(replace(recipe, task="poems"), store)


def test_recipes_can_be_of_ones_own():
    recipe = FineTuneRecipe(base="owner/name", task="cards", steps=1, batch=1, learning_rate=1e-4, regime="small")
    assert recipe.base == "owner/name"
    assert TinyBase(steps=1, batch=1, learning_rate=1.0).shape == SHAPES["llama"]
