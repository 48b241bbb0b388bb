"""LoRA as a contestant: the ranks that the budget pays for, the full fine-tune's data and steps, a rate of its own."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from lib.corpora import tasks
from lib.delta_come.baselines import TrainedLora, affordable_ranks, train_lora
from lib.delta_come.contest.budget import Budget, projection_shapes
from lib.delta_come.contest.setting import Setting
from lib.delta_come.errors import DeltaError
from lib.models.answering import score_answers
from lib.models.finetuning import Schedule
from lib.models.finetuning.examples import encode

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_VALIDATION_SEED = 100  # no run has it; the task keeps its test items out of every seed's training items
_AT_ONCE = 64


def lora_ranks(setting: Setting, budget: Budget) -> dict[str, int]:
    """Return the ranks of every projection that the budget pays for, by the weight's name.

    Raises:
        DeltaError: It does not pay for one.
    """
    return affordable_ranks(projection_shapes(setting.pair), budget.bits, "a LoRA")


def fit_lora(
    setting: Setting, items: Sequence[Mapping[str, Any]], budget: Budget, schedule: Schedule, learning_rate: float
) -> TrainedLora:
    """Train a LoRA of the setting's base.

    Args:
        setting: With the base.
        items: What the full fine-tune learnt from.
        budget: True bytes of all projections.
        schedule: The full fine-tune's recipe; steps, batch, order and warm-up are taken from it.
        learning_rate: Peak rate, from `sweep`.
    """
    own = Schedule(
        **{name: getattr(schedule, name) for name in Schedule.__dataclass_fields__} | {"learning_rate": learning_rate}
    )
    return train_lora(setting.base, items, lora_ranks(setting, budget), own.on_this_machine())


@dataclass(frozen=True)
class Trial:
    """A LoRA at one learning rate.

    Attributes:
        learning_rate: Peak rate.
        accuracy: Share of the validation items that it answers rightly.
        loss: On their right answers, in nats a token; infinite where the training came to nothing.
        trained: The LoRA; None where there is none.
    """

    learning_rate: float
    accuracy: float
    loss: float
    trained: TrainedLora | None = field(repr=False)


def sweep(
    setting: Setting,
    items: Sequence[Mapping[str, Any]],
    budget: Budget,
    schedule: Schedule,
    rates: Sequence[float],
    validation: int = 200,
) -> list[Trial]:
    """Return a LoRA for each learning rate, with how well it does on items of its own kind that nobody is judged on.

    Args:
        setting: With the base and a task.
        items: What is learnt from.
        budget: True bytes of all projections.
        schedule: The full fine-tune's, or a shorter one.
        rates: Peak learning rates.
        validation: Number of validation items, none of them among those learnt from or the setting's.
    """
    held_out = validation_items(setting, validation)
    return [_trial(setting, items, budget, schedule, rate, held_out) for rate in rates]


def best_trial(trials: Sequence[Trial]) -> Trial:
    """Return the trial with the largest share of right answers; of equal ones that with the smallest loss.

    Raises:
        DeltaError: No training came to anything.
    """
    alive = [trial for trial in trials if trial.trained]
    if not alive:
        tried = ", ".join(f"{trial.learning_rate:g}" for trial in trials)
        raise DeltaError(f"no LoRA came of the learning rates {tried or 'given (none)'}; give smaller ones")
    return min(alive, key=lambda trial: (-trial.accuracy, trial.loss))


def _trial(
    setting: Setting,
    items: Sequence[Mapping[str, Any]],
    budget: Budget,
    schedule: Schedule,
    rate: float,
    held_out: Sequence[Mapping[str, Any]],
) -> Trial:
    try:
        trained = fit_lora(setting, items, budget, schedule, rate)
    except DeltaError:
        return Trial(rate, 0.0, math.inf, None)
    model, tokenizer = setting.model(trained.stored, outside="base"), setting.base.tokenizer
    accuracy = score_answers(model, tokenizer, setting.task, held_out).accuracy
    return Trial(rate, accuracy, answer_loss(model, tokenizer, held_out), trained)


def answer_loss(
    model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerBase", items: Sequence[Mapping[str, Any]]
) -> float:
    """Return the cross-entropy of right answers, in nats a token."""
    examples, total, tokens = encode(items, tokenizer), 0.0, 0
    with torch.inference_mode():
        for start in range(0, len(examples), _AT_ONCE):
            ids, answers = examples.batch(range(start, min(start + _AT_ONCE, len(examples))))
            hidden = model.base_model(input_ids=ids, use_cache=False).last_hidden_state
            logits = model.get_output_embeddings()(hidden[:, :-1][answers[:, 1:]])
            total += torch.nn.functional.cross_entropy(logits.float(), ids[answers], reduction="sum").item()
            tokens += int(answers.sum())
    return total / tokens


def validation_items(setting: Setting, count: int) -> list[Mapping[str, Any]]:
    """Return held-out items of the task, none of which is among the setting's."""
    tested = {item["prompt"] for item in setting.items}
    drawn = tasks.make_task(setting.task, 1, count + len(tested), _VALIDATION_SEED).test
    return [item for item in drawn if item["prompt"] not in tested][:count]
