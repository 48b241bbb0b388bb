import math
import shutil
from dataclasses import replace

import pytest
import torch

from lib.models.tiny import TinyRecipe, build_tiny
from lib.onebit.training import (
    SVID_KEEPING_WEIGHTS,
    DistillationRecipe,
    DivergedError,
    ExpertsForm,
    LossWeights,
    OneBitForm,
    RankKForm,
    distil,
    released_recipe,
    student_of,
    trainer,
)
from lib.onebit.training.divergence import LossWatch
from lib.onebit.training.trainer import DistillationTrainer, complete_checkpoint

RECIPE = DistillationRecipe(steps=6, batch=4, learning_rate=5e-3, log_every=2, save_every=2)


# The loss of the paper's form at 1e-3 on the teacher "mini", every step: all latents cross zero at once after 15 steps.
HUMP = [
    *(3.24, 3.30, 3.31, 3.45, 3.28, 3.11, 3.28, 3.15, 3.21, 3.07, 3.27, 3.19, 3.25, 3.29, 3.61, 4.62, 4.39, 4.92),
    *(4.47, 4.15, 4.00, 3.96, 3.60, 3.67, 3.00, 3.23, 3.56, 3.15, 3.09, 2.94, 3.10, 2.79, 2.72, 2.74, 2.78, 2.55),
    *(2.69, 2.53, 2.49, 2.62, 2.48, 2.53, 2.25, 2.40, 2.31, 2.17, 2.16, 2.47, 2.29, 2.19, 2.14, 2.10, 1.95, 1.92),
]
# The same without the LayerNorm, at 4e-3: the first step's loss is low, and the leap goes far beyond it.
HUMP_NEAR_THE_TEACHER = [
    *(1.91, 1.95, 1.92, 2.10, 1.80, 1.76, 4.80, 4.09, 3.91, 3.70, 3.40, 3.41, 3.24, 3.18, 3.00, 2.81, 2.79, 2.59),
    *(2.51, 2.47, 2.46, 2.38, 2.14, 2.16, 1.99, 1.94, 2.34, 1.94, 1.98, 1.87, 1.88, 1.81, 1.70, 1.64, 1.77, 1.58),
    *(1.62, 1.65, 1.59, 1.58, 1.56, 1.52, 1.47, 1.54, 1.46, 1.34, 1.39, 1.62, 1.46, 1.39, 1.30, 1.31, 1.24, 1.25),
]


class Interrupted(Exception):
    pass


def new_student(teacher, **form):
    return student_of(teacher, OneBitForm(**form).make_layer)


def assert_equal_weights(model, other):
    for (name, one), two in zip(model.named_parameters(), other.parameters(), strict=True):
        assert one.equal(two), name


def test_a_student_gets_nearer_to_its_teacher(teacher, blocks):
    student = new_student(teacher, start=SVID_KEEPING_WEIGHTS, post_norm=False)
    result = distil(student, teacher, blocks, DistillationRecipe(steps=60, batch=8, learning_rate=5e-3))
    first, last = result.history[0], result.history[-1]
    assert last.parts["logits"] < 0.7 * first.parts["logits"]
    assert last.parts["hidden"] < 0.8 * first.parts["hidden"]
    assert 0 < result.flipped < 0.5
    assert min(last.flipped_by_kind.values()) < result.flipped < max(last.flipped_by_kind.values())
    assert result.tokens == 60 * 8 * 12


def test_what_is_frozen_stays_and_all_else_moves(teacher, blocks):
    student = new_student(teacher)
    before = {name: parameter.clone() for name, parameter in student.named_parameters()}
    distil(student, teacher, blocks, RECIPE)
    for name, parameter in student.named_parameters():
        assert parameter.equal(before[name]) != parameter.requires_grad, name


def test_the_history_averages_the_loss_over_its_steps(teacher, blocks):
    rows = distil(new_student(teacher), teacher, blocks, RECIPE).history
    single = distil(new_student(teacher), teacher, blocks, replace(RECIPE, log_every=1)).history
    assert [row.step for row in rows] == [2, 4, 6]
    for row, pair in zip(rows, zip(single[::2], single[1::2], strict=True), strict=True):
        assert row.loss == pytest.approx(sum(one.loss for one in pair) / 2)
        assert row.loss == pytest.approx(row.parts["logits"] + row.parts["hidden"])


def test_two_halves_of_a_batch_make_the_same_step_as_the_whole(teacher, blocks):
    one, two = new_student(teacher), new_student(teacher)
    recipe = replace(RECIPE, steps=1, save_every=0)
    whole = distil(one, teacher, blocks, recipe).history[0]
    halves = distil(two, teacher, blocks, replace(recipe, batch=2, accumulation=2)).history[0]
    assert halves.loss == pytest.approx(whole.loss, rel=1e-5)
    assert halves.gradient_norm == pytest.approx(whole.gradient_norm, rel=1e-4)


def test_gradient_checkpointing_changes_nothing_but_memory(teacher, blocks):
    one, two = new_student(teacher), new_student(teacher)
    distil(one, teacher, blocks, RECIPE)
    distil(two, teacher, blocks, replace(RECIPE, gradient_checkpointing=True))
    assert_equal_weights(one, two)


def test_attention_maps_can_be_matched_too(teacher, blocks):
    recipe = DistillationRecipe(steps=20, batch=8, weights=LossWeights(attention=5.0))
    rows = distil(new_student(teacher), teacher, blocks, recipe).history
    assert rows[-1].parts["attention"] < rows[0].parts["attention"]


def test_bf16_follows_fp32_closely(teacher, blocks):
    losses = [
        distil(new_student(teacher), teacher, blocks, replace(RECIPE, bf16=bf16)).history[0].loss
        for bf16 in (False, True)
    ]
    assert losses[1] != losses[0]
    assert losses[1] == pytest.approx(losses[0], rel=0.05)


@pytest.mark.parametrize("at", [3, 5])
def test_an_interrupted_distillation_ends_as_if_it_had_not_been(teacher, blocks, tmp_path, monkeypatch, at):
    whole = new_student(teacher)
    expected = distil(whole, teacher, blocks, RECIPE, tmp_path / "whole")
    compute_loss = DistillationTrainer.compute_loss

    def interrupting(self, *arguments, **named):
        if self.state.global_step == at:
            raise Interrupted
        return compute_loss(self, *arguments, **named)

    with monkeypatch.context() as interruption:
        interruption.setattr(DistillationTrainer, "compute_loss", interrupting)
        with pytest.raises(Interrupted):
            distil(new_student(teacher), teacher, blocks, RECIPE, tmp_path / "halves")
    resumed = new_student(teacher)
    result = distil(resumed, teacher, blocks, RECIPE, tmp_path / "halves")
    assert_equal_weights(whole, resumed)
    assert result == expected


def test_a_finished_distillation_is_not_done_again(teacher, blocks, tmp_path, monkeypatch):
    first = new_student(teacher)
    expected = distil(first, teacher, blocks, RECIPE, tmp_path)
    monkeypatch.setattr(DistillationTrainer, "compute_loss", None)
    second = new_student(teacher)
    assert distil(second, teacher, blocks, RECIPE, tmp_path) == expected
    assert_equal_weights(first, second)


def test_a_checkpoint_that_was_not_written_to_its_end_is_passed_over(tmp_path):
    for step, complete in ((2, True), (10, True), (12, False)):
        (tmp_path / f"checkpoint-{step}").mkdir()
        if complete:
            (tmp_path / f"checkpoint-{step}" / "trainer_state.json").touch()
    assert complete_checkpoint(tmp_path).name == "checkpoint-10"


def test_a_folder_of_another_recipe_is_refused(teacher, blocks, tmp_path):
    distil(new_student(teacher), teacher, blocks, RECIPE, tmp_path)
    with pytest.raises(ValueError, match="holds a training with another learning_rate, weights"):
        changed = replace(RECIPE, learning_rate=1e-4, weights=LossWeights(hidden=3))
        distil(new_student(teacher), teacher, blocks, changed, tmp_path)


def test_a_broken_student_stops_names_the_tensor_and_keeps_the_checkpoint(teacher, blocks, tmp_path, monkeypatch):
    student = new_student(teacher)
    compute_loss = DistillationTrainer.compute_loss

    def breaking(self, *arguments, **named):
        if self.state.global_step == 3:
            student.model.layers[1].mlp.up_proj.output_scale.data[0] = float("nan")
        return compute_loss(self, *arguments, **named)

    monkeypatch.setattr(DistillationTrainer, "compute_loss", breaking)
    with pytest.raises(DivergedError, match=r"after 3 steps: .*model\.layers\.1\.mlp\.up_proj\.output_scale") as error:
        distil(student, teacher, blocks, RECIPE, tmp_path)
    assert error.value.checkpoint == tmp_path / "checkpoint-2"
    assert str(tmp_path / "checkpoint-2") in str(error.value)


def test_an_overflow_in_fp16_names_the_layer_it_began_in(teacher, blocks):
    student = new_student(teacher, post_norm=False)
    student.model.layers[0].mlp.gate_proj.output_scale.data.fill_(3e4)
    half = student.half()
    with pytest.raises(DivergedError, match=r"the output of model\.layers\.0\.mlp\.\w+ \(float16\).*no checkpoint"):
        distil(half, teacher, blocks, replace(RECIPE, save_every=0))


def test_a_gradient_that_is_no_number_never_reaches_the_weights(teacher, blocks):
    student = new_student(teacher)
    latent = student.model.layers[0].self_attn.k_proj.latent
    latent.register_hook(lambda gradient: gradient * float("inf"))
    with pytest.raises(DivergedError, match=r"gradient of model\.layers\.0\.self_attn\.k_proj\.latent is not finite"):
        distil(student, teacher, blocks, RECIPE)
    assert all(parameter.isfinite().all() for parameter in student.parameters())


@pytest.mark.parametrize(
    ("losses", "diverges"),
    [
        ([1.0] * 60, False),
        ([1.0] * 30 + [5.0] * 20, True),
        ([1.0] * 90 + [3.0] * 230, True),
        ([3.0, 2.9, 2.8] + [50.0] * 40, True),  # within the first window
        ([3.0] * 10 + [0.3] * 100 + [2.5] * 300, True),  # below the start, and for good
        (HUMP, False),
        (HUMP_NEAR_THE_TEACHER, False),
        ([each for each in HUMP_NEAR_THE_TEACHER for _ in range(4)], False),  # at a quarter of the rate
        ([3.0] * 10 + [0.8] * 40 + [5.0] * 15 + [3.0] * 60 + [0.7] * 100, False),  # six times the minimum, and back
    ],
)
def test_a_loss_that_blows_up_is_a_divergence_and_a_hump_is_none(losses, diverges):
    watch = LossWatch()
    faults = [fault for fault in map(watch.fault, losses) if fault]
    assert bool(faults) == diverges
    assert LossWatch().fault(math.nan) == "the loss is nan"


def test_the_halves_of_a_step_count_as_one(teacher, blocks, monkeypatch):
    seen = []
    monkeypatch.setattr(LossWatch, "fault", lambda _self, loss: seen.append(loss))
    recipe = replace(RECIPE, steps=3, log_every=1, save_every=0, batch=2, accumulation=2)
    rows = distil(new_student(teacher), teacher, blocks, recipe).history
    assert seen == pytest.approx([row.loss for row in rows])


def test_a_training_that_blows_up_keeps_the_checkpoint_from_before(teacher, blocks, tmp_path, monkeypatch):
    real = trainer.distillation_losses
    calls = iter(range(10**6))

    def rising(*arguments):
        losses = real(*arguments)
        return replace(losses, total=losses.total * (1000 if next(calls) >= 6 else 1))

    monkeypatch.setattr(trainer, "distillation_losses", rising)
    with pytest.raises(DivergedError, match="at the first step it was") as error:
        distil(new_student(teacher), teacher, blocks, replace(RECIPE, steps=40), tmp_path)
    assert error.value.checkpoint == tmp_path / "checkpoint-6"


def test_a_training_that_goes_on_is_held_against_its_first_steps(teacher, blocks, tmp_path, monkeypatch):
    starts = []
    fault = LossWatch.fault
    monkeypatch.setattr(LossWatch, "fault", lambda self, loss: starts.append(self.first) or fault(self, loss))
    rows = distil(new_student(teacher), teacher, blocks, RECIPE, tmp_path).history
    shutil.rmtree(tmp_path / "checkpoint-6")
    starts.clear()
    distil(new_student(teacher), teacher, blocks, RECIPE, tmp_path)
    assert starts == [rows[0].loss] * 2


def test_one_bad_batch_is_no_divergence():
    watch = LossWatch()
    assert not any(watch.fault(20.0 if step == 40 else 1.0) for step in range(60))


def test_a_teacher_with_another_vocabulary_is_refused(teacher, blocks):
    other = build_tiny(TinyRecipe(width=32, blocks=2, inner=40, steps=1, vocabulary=70))
    with pytest.raises(
        ValueError, match=r"embed_tokens\.weight: the teacher's is \[70, 32\], the student's \[64, 32\]"
    ):
        distil(new_student(teacher), other, blocks, RECIPE)


def test_a_teacher_of_another_depth_is_refused(teacher, blocks):
    other = build_tiny(TinyRecipe(width=32, blocks=3, inner=40, steps=1, vocabulary=64))
    with pytest.raises(ValueError, match="the teacher has 3 blocks, the student 2"):
        distil(new_student(teacher), other, blocks, RECIPE)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((0, 12), r"one block or more .* got \[0, 12\]"),
        ((40, 1), r"of 2 tokens or more, got \[40, 1\]"),
        ((3, 12), "3 blocks do not fill one batch of 4; take more text"),
    ],
)
def test_too_few_tokens_for_a_step_are_refused(teacher, blocks, shape, message):
    with pytest.raises(ValueError, match=message):
        distil(new_student(teacher), teacher, blocks[: shape[0], : shape[1]], RECIPE)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: DistillationRecipe(steps=1, warmup=-1), "warmup is 0 or more, got -1"),
        (lambda: DistillationRecipe(steps=1, clip=math.nan), "clip is 0 or more, got nan"),
        (lambda: DistillationRecipe(steps=1, learning_rate=math.inf), "learning rate is above 0, got inf"),
        (lambda: LossWeights(hidden=math.nan), "finite, 0 or more, and not all 0; got .*hidden=nan"),
        (lambda: RankKForm(0), "rank is 1 or more, got 0"),
        (lambda: ExpertsForm(0), "1 expert or more, got 0"),
    ],
)
def test_a_setting_out_of_its_range_is_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_rank_that_a_matrix_does_not_have_is_refused(teacher):
    with pytest.raises(ValueError, match=r"q_proj\.weight is \[32, 32\] and has no 33 singular triples"):
        student_of(teacher, RankKForm(33).make_layer)


def test_an_all_zero_row_is_refused_with_a_layer_norm_and_kept_without(teacher):
    teacher.model.layers[1].mlp.up_proj.weight.data[7] = 0
    with pytest.raises(ValueError, match=r"layers\.1\.mlp\.up_proj\.weight has an all-zero row, 7 \(of 1\)"):
        new_student(teacher)
    student = new_student(teacher, post_norm=False)
    assert not student.model.layers[1].mlp.up_proj.dequantise()[7].any()


def test_tokens_of_another_tokenizer_are_refused(teacher, blocks):
    with pytest.raises(ValueError, match=r"below 64, got \[40, 12\], .* to 1\d\d"):
        distil(new_student(teacher), teacher, blocks + 100, RECIPE)


def test_a_student_with_nothing_to_train_is_refused(teacher, blocks):
    student = new_student(teacher).requires_grad_(False)
    with pytest.raises(ValueError, match="no parameter of the student is trainable"):
        distil(student, teacher, blocks, RECIPE)


def test_a_checkpoint_does_not_carry_the_teacher(teacher, blocks, tmp_path):
    from safetensors.torch import load_file

    distil(new_student(teacher), teacher, blocks, RECIPE, tmp_path)
    stored = load_file(tmp_path / "checkpoint-6" / "model.safetensors")
    assert not [name for name in stored if name.endswith("q_proj.weight")]
    assert any(name.endswith("q_proj.latent") for name in stored)


def test_the_released_setting_has_128_sequences_a_step_on_any_number_of_devices():
    for devices in (1, 2, 8):
        recipe = released_recipe("llama-7b", blocks=12_800, devices=devices)
        assert recipe.batch * recipe.accumulation * devices == 128
        assert recipe.steps == 50 * 100
    assert released_recipe("llama-7b", 1000).learning_rate == 4e-4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(("gpt", 10), "no setting for 'gpt'; there are: llama-7b"), (("llama-7b", 10, 3), "3 devices do not divide")],
)
def test_an_unknown_released_setting_is_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        released_recipe(*arguments)


def test_the_callers_blocks_are_read_in_an_order_of_the_seed(teacher, blocks):
    losses = [
        distil(new_student(teacher), teacher, blocks, replace(RECIPE, seed=seed)).history[0].loss for seed in (0, 0, 1)
    ]
    assert losses[0] == losses[1] != losses[2]
    assert torch.is_grad_enabled()
