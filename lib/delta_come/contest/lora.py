"""LoRA as a contestant: the ranks that the budget pays for, the full fine-tune's data and steps, a rate of its own."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from lib.corpora import tasks
from lib.delta_come.baselines import TrainedLora, affordable_ranks, train_lora
from lib.delta_come.contest.budget import Budget, projection_shapes
from lib.delta_come.contest.setting import Setting
from lib.delta_come.errors import DeltaError
from lib.models.answering import score_answers
from lib.models.finetuning import Schedule, pairs

TUNING_SEED = 100


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
    return train_lora(setting.base, items, lora_ranks(setting, budget), pairs._resolved(own))


def sweep(
    setting: Setting,
    items: Sequence[Mapping[str, Any]],
    budget: Budget,
    schedule: Schedule,
    rates: Sequence[float],
    validation: int = 200,
) -> dict[float, float]:
    """Return the share of validation items that LoRAs answer rightly, by learning rate.

    The order of the items and the start of A have a seed that no reported run has, and none of the validation items is
    among the setting's. A training that comes to nothing has 0.

    Args:
        setting: With the base.
        items: What is learnt from.
        budget: As in the reported run.
        schedule: As in the reported run; its seed is replaced.
        rates: Peak learning rates.
        validation: Number of validation items.
    """
    held_out = validation_items(setting, validation)
    found = {}
    for rate in rates:
        try:
            trained = fit_lora(setting, items, budget, replace(schedule, seed=TUNING_SEED), rate)
        except DeltaError:
            found[rate] = 0.0
            continue
        model = setting.model(trained.stored, outside="base")
        found[rate] = score_answers(model, setting.base.tokenizer, setting.task, held_out).accuracy
    return found


def validation_items(setting: Setting, count: int) -> list[Mapping[str, Any]]:
    """Return held-out items of the task, none of which is among the setting's."""
    tested = {item["prompt"] for item in setting.items}
    drawn = tasks.make_task(setting.task, 1, count + len(tested), TUNING_SEED).test
    return [item for item in drawn if item["prompt"] not in tested][:count]


def best_rate(found: Mapping[float, float]) -> float:
    """Return the rate of the best share; of equal ones the smallest."""
    return min(found, key=lambda rate: (-found[rate], rate))
