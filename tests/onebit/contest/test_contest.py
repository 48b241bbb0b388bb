"""Contestants by name: what they are made of, what they cost, how they are measured."""

from dataclasses import fields, replace

import pytest
import torch

from lib.models.quality import Quality
from lib.models.tiny import TEACHERS, TinyRecipe, build_tiny
from lib.onebit import sizes
from lib.onebit.contest import (
    METHODS,
    SWEEP,
    TRAINED,
    UNTRAINED,
    Divergence,
    attempt,
    by_method,
    check_names,
    compete,
    dense_models,
    dense_score,
    gains,
    ladder_of,
    measure,
    method_named,
    side_by_side,
    sizes_of,
    sweep,
)
from lib.onebit.contest.compensated import input_hessians
from lib.onebit.metrics import CompareAtEqualBits
from lib.onebit.training import DistillationRecipe, DivergedError, onebit_layers

RECIPE = DistillationRecipe(steps=2, batch=2)
CONFIG = build_tiny(TinyRecipe(width=64, blocks=2, inner=176, steps=1, vocabulary=512)).config.to_dict()


def projection_inputs(setting, layer):
    seen = []
    handle = setting.model.get_submodule(layer).register_forward_hook(
        lambda _layer, inputs, _out: seen.append(inputs[0])
    )
    with torch.no_grad():
        setting.model(setting.train.long())
    handle.remove()
    return seen[0].flatten(0, 1)


def test_an_unknown_method_is_refused_with_a_list_of_those_there_are():
    with pytest.raises(ValueError, match="no method 'rtn9'; choose from rtn4, rtn3"):
        method_named("rtn9")


def test_the_bytes_of_a_onebit_model_are_those_that_its_file_has():
    shape = sizes.Architecture.from_config("model", CONFIG)
    assert sizes_of(CONFIG, METHODS["onebit"].bits).bytes == shape.onebit_bytes
    assert sizes_of(CONFIG).bytes == shape.fp16_bytes


@pytest.mark.parametrize("name", ["no_norm", "kept_latents", "both", "both_compensated", "svid"])
def test_what_costs_nothing_has_the_very_bits_of_the_papers_form(name):
    assert sizes_of(CONFIG, METHODS[name].bits) == sizes_of(CONFIG, METHODS["onebit"].bits)


def test_bits_of_all_methods_are_in_the_order_of_what_they_store():
    bits = {name: sizes_of(CONFIG, method.bits).bits for name, method in METHODS.items()}
    assert 1 < bits["sign_scalar"] < bits["onebit"] < bits["both_rank2"] < bits["both_experts4"]
    assert bits["onebit"] < bits["qat2"] < bits["gptq2"] == bits["rtn2"] < bits["rtn3"] < bits["rtn4"] < 16


@pytest.mark.parametrize("name", UNTRAINED)
def test_every_untrained_method_changes_projections_alone(setting, name):
    made = METHODS[name].make(setting.model, setting.train)
    assert torch.equal(made.model.embed_tokens.weight, setting.model.model.embed_tokens.weight)
    with torch.no_grad():
        assert not torch.equal(made(setting.test.long()).logits, setting.model(setting.test.long()).logits)


@pytest.mark.parametrize("name", TRAINED)
def test_every_trained_method_trains_and_is_scored(setting, task, name):
    score = compete(METHODS[name], setting, task, RECIPE)
    assert score.tokens == 2 * 2 * 12
    assert score.perplexity > 1
    assert 0 <= score.choice_accuracy <= 1


def test_only_the_papers_form_and_kept_latents_have_a_layer_norm(setting):
    has = {}
    for name in ("onebit", "kept_latents", "no_norm", "both", "both_compensated"):
        student = METHODS[name].make(setting.model, setting.train)
        has[name] = {layer.post_norm for _, layer in onebit_layers(student)}
    assert has.pop("onebit") == has.pop("kept_latents") == {True}
    assert all(norms == {False} for norms in has.values())


def test_an_untrained_method_takes_no_tokens(setting, task):
    assert compete(METHODS["svid"], setting, task, RECIPE).tokens == 0


def test_a_given_learning_rate_replaces_the_methods_own(setting, task):
    small, large = (compete(METHODS["both"], setting, task, RECIPE, rate).perplexity for rate in (1e-9, 0.1))
    start = dense_score("start", METHODS["both"].make(setting.model, setting.train), setting.test, task)
    assert small == pytest.approx(start.perplexity, rel=1e-4)
    assert abs(large - start.perplexity) > 10 * abs(small - start.perplexity)


def test_scores_become_the_fields_of_the_metrics(setting, task):
    found = by_method([dense_score("teacher", setting.model, setting.test, task)])
    assert found.keys() <= {each.name for each in fields(CompareAtEqualBits)}
    assert found.pop("diverged") == {}
    assert all(set(values) == {"teacher"} for values in found.values())


def test_hessians_are_the_products_of_each_projections_inputs(setting):
    layer = "model.layers.1.mlp.down_proj"
    X = projection_inputs(setting, layer).double()
    assert torch.allclose(input_hessians(setting.model, setting.train)[layer], X.T @ X, rtol=1e-4, atol=1e-3)


def test_compensated_signs_keep_a_layers_outputs_better_than_the_weights_own_signs(setting):
    layer = "model.layers.0.self_attn.q_proj"
    X = projection_inputs(setting, layer)
    wanted = X @ setting.model.get_submodule(layer).weight.T
    made = [METHODS[name].make(setting.model, setting.train).get_submodule(layer) for name in ("compensated", "svid")]
    errors = [float((layer(X) - wanted).square().sum().detach()) for layer in made]
    assert errors[0] < 0.9 * errors[1]


def test_compensated_latents_keep_the_sizes_of_the_weights(setting):
    student = METHODS["both_compensated"].make(setting.model, setting.train)
    for name, layer in onebit_layers(student):
        assert torch.equal(layer.latent.abs(), setting.model.get_submodule(name).weight.abs())


def test_a_sweep_measures_each_rate_on_the_validation_text_alone(setting):
    found = sweep(["both"], (1e-3, 1e-2), replace(setting, test=None), RECIPE)
    assert list(found["both"]) == [1e-3, 1e-2]
    assert found["both"][1e-3] != found["both"][1e-2]


def test_a_sweep_of_an_untrained_method_is_refused(setting):
    with pytest.raises(ValueError, match="'svid' is not trained"):
        sweep(["svid"], (1e-3,), setting, RECIPE)


@pytest.mark.parametrize("name", SWEEP)
def test_a_method_has_the_rate_that_was_best_in_the_sweep(name):
    assert SWEEP[name][METHODS[name].learning_rate] == min(SWEEP[name].values())


def test_teachers_of_one_ladder_share_a_name_and_the_largest_size(setting):
    names = ["slim", "narrow"]
    one, other = (ladder_of(name, names, setting) for name in names)
    assert one == other
    assert one.parameters == sum(weight.numel() for weight in build_tiny(TEACHERS["narrow"]).parameters())


def test_a_teacher_beside_the_ladder_stands_alone(setting):
    alone = ladder_of("owner/name", ["narrow"], setting)
    assert (alone.name, alone.parameters) == ("owner/name", setting.teacher.parameters)


def test_a_ladder_of_unknown_teachers_is_refused(setting):
    with pytest.raises(ValueError, match="got huge"):
        ladder_of("huge", ["huge"], setting)


def test_a_dense_model_with_another_vocabulary_is_refused(setting, monkeypatch):
    class Tokenizer(dict):
        get_vocab = dict.copy

    def loaded(words):
        return replace(setting.teacher, tokenizer=Tokenizer(words))

    monkeypatch.setattr("lib.onebit.contest.ladder.load", lambda _name, checkout: loaded({"a": 0}))
    own = replace(setting, teacher=loaded({"a": 0, "b": 1}))
    with pytest.raises(ValueError, match=r"small has another vocabulary than the teacher \(1 and 2 tokens\)"):
        list(dense_models(["small"], own))


def a_run(seed, perplexity, tokens=100, diverged=()):
    return CompareAtEqualBits(
        model="m",
        model_parameters=1,
        teacher="t",
        teacher_parameters=1,
        seed=seed,
        perplexity=perplexity,
        questions=4,
        diverged=dict.fromkeys(diverged, 3.0),
        bits=dict.fromkeys([*perplexity, *diverged], 1.5),
        tokens=tokens,
        teacher_tokens=0,
        learning_rates=dict.fromkeys([*perplexity, *diverged], 1e-3),
        cpu_seconds={},
    )


def test_gains_are_ratios_paired_by_seed_with_an_interval():
    (gain,) = gains([a_run(0, {"onebit": 10.0, "both": 8.0}), a_run(1, {"onebit": 20.0, "both": 16.0})])
    assert (gain.method, gain.ratio.value, gain.ratio.interval) == ("both", 0.8, (0.8, 0.8))


def test_gains_come_from_each_methods_largest_budget_and_from_runs_with_the_reference():
    runs = [
        a_run(0, {"onebit": 20.0, "both": 8.0, "both_rank2": 6.0}),
        a_run(0, {"onebit": 10.0, "both": 5.0}, tokens=200),
        a_run(1, {"both": 5.0}, tokens=300),
    ]
    found = {gain.method: (gain.ratio.value, gain.tokens) for gain in gains(runs)}
    assert found == {"both": (0.5, 200), "both_rank2": (0.3, 100)}


def test_a_method_that_diverged_is_counted_beside_its_gain():
    runs = [
        a_run(0, {"onebit": 10.0, "both": 5.0}, diverged=["qat2"]),
        a_run(1, {"onebit": 10.0}, diverged=["both", "qat2"]),
    ]
    found = {gain.method: (gain.ratio and gain.ratio.value, gain.diverged) for gain in gains(runs)}
    assert found == {"both": (0.5, 1), "qat2": (None, 2)}


def test_a_training_that_diverges_is_an_outcome_with_its_size_and_no_quality(setting, task, monkeypatch):
    def diverge(*_):
        raise DivergedError("the loss is nan", 3, None)

    monkeypatch.setattr(measure, "distil", diverge)
    lost = attempt(METHODS["both"], setting, task, RECIPE)
    assert repr(lost).endswith("diverged after 3 steps)")
    found = by_method([dense_score("teacher", setting.model, setting.test, task), lost])
    assert found["diverged"] == {"both": 3.0}
    assert "both" in found["bits"]
    assert list(found["perplexity"]) == ["teacher"]


def test_a_perplexity_that_is_no_number_is_a_divergence(setting, task, monkeypatch):
    monkeypatch.setattr(measure, "measure_quality", lambda *_: Quality(float("nan"), 0.0, 1))
    found = [attempt(METHODS[name], setting, task, RECIPE) for name in ("svid", "both")]
    assert all(isinstance(each, Divergence) for each in found)
    assert [each.step for each in found] == [0, 2]


def test_a_training_that_ends_is_a_score(setting, task):
    assert attempt(METHODS["svid"], setting, task, RECIPE).perplexity > 1


def test_the_questions_that_the_teacher_answers_too_are_counted(setting, task):
    teacher = dense_score("teacher", setting.model, setting.test, task)
    found = by_method([teacher, replace(teacher, name="wrong", right=tuple(not right for right in teacher.right))])
    assert found["right_with_teacher"] == {"teacher": found["choice_accuracy"]["teacher"], "wrong": 0.0}


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ((["rtn9"], [], []), "no method 'rtn9'; choose from rtn4"),
        ((["rtn4", "rtn4"], [], []), "methods names rtn4 more than once"),
        ((["rtn4"], ["huge"], []), "a ladder is made of mini, .*got huge"),
        ((["rtn4"], [], ["slimm"]), "no dense model 'slimm'; choose from mini.*smollm2-135m-instruct, a hub name"),
    ],
)
def test_names_of_a_contest_are_checked_before_anything_is_loaded(names, message):
    with pytest.raises(ValueError, match=message):
        check_names(*names)
    check_names(["rtn4", "onebit"], ["narrow", "wide"], ["slim", "owner/name"])


def test_marks_that_would_cover_one_another_stand_side_by_side_and_others_stay():
    places = side_by_side([2.13, 2.13, 2.12, 2.13, 1.0], [40.0, 40.5, 39.5, 80.0, 40.0])
    assert places == pytest.approx([2.13, 2.23, 2.02, 2.13, 1.0])
