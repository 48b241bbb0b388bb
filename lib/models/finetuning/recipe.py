"""What decides a fine-tune, and the named ones.

Tiny pairs (T) are trained in seconds, base included, for notebooks at their defaults and for many seeds. SmolLM2's (S)
take minutes and are kept. Each comes in two regimes, for methods that compress deltas behave differently on the two: a
small delta, from a low learning rate, and a large one, from a high rate. The rate decides, for AdamW's steps are about
as long as it, whatever the gradient. A tiny model has no room to spare: even its small delta is a sixth to a third of
its weights, about six tenths of its large one.
"""

from dataclasses import dataclass, replace
from typing import Self

from lib.models.errors import ModelError
from lib.models.finetuning.shapes import SHAPES, TinyShape
from lib.models.tiny import _has_bf16

REGIMES = ("small", "large")


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """How long and how fast a model is trained.

    Attributes:
        steps: Optimiser steps.
        batch: Items in a step.
        learning_rate: Peak, after a linear warm-up; a cosine takes it down to zero.
        warmup: Steps of the warm-up.
        weight_decay: AdamW's, on matrices only.
        items: Different items to learn from; after the last one they come again in another order.
        seed: Of the items and of their order.
        bf16: Products in bfloat16 (autocast), weights and optimiser in fp32; None: where the processor has
            instructions for it.
    """

    steps: int
    batch: int
    learning_rate: float
    warmup: int = 10
    weight_decay: float = 0.0
    items: int = 6000
    seed: int = 0
    bf16: bool | None = False

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "warmup", "items"):
            if getattr(self, name) < 1:
                raise ModelError(f"a schedule's {name} is at least 1, got {getattr(self, name)}")

    def on_this_machine(self) -> Self:
        """Return it with `bf16` decided."""
        return replace(self, bf16=_has_bf16()) if self.bf16 is None else self


@dataclass(frozen=True, kw_only=True)
class TinyBase(Schedule):
    """A tiny base: a shape, trained on the primer of `lib.corpora.tasks`.

    Attributes:
        shape: The model's size and family; its first weights are drawn from the seed too.
    """

    shape: TinyShape = SHAPES["llama"]


@dataclass(frozen=True, kw_only=True)
class FineTuneRecipe(Schedule):
    """A full fine-tune: all weights, plain AdamW, loss on the answers only.

    Attributes:
        base: What is fine-tuned: a tiny base, or whatever `lib.models.load` takes.
        task: One of `lib.corpora.tasks.TASKS`.
        regime: "small" or "large": how large a delta is aimed at. A label; it decides nothing.
    """

    base: TinyBase | str
    task: str
    regime: str

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.regime not in REGIMES:
            raise ModelError(f"a regime is one of {', '.join(REGIMES)}, got {self.regime!r}")


# Measured, in processor time of one thread: the base 5 s, either fine-tune 7 to 11 s (of the wide shape 17 s). Chains
# are learnt late and all at once: with fewer steps, or at higher rates, some seeds and the wide shape learn none.
_TINY_BASE = TinyBase(steps=300, batch=32, learning_rate=4e-3, items=4000)
_TINY = {
    "small": Schedule(steps=1200, batch=16, learning_rate=6e-4),
    "large": Schedule(steps=1200, batch=16, learning_rate=1.5e-3),
}

# About 53 tokens an item, with the answer's end. Two cores train 450 to 500 tokens a second in bf16.
_SMOLLM2 = {
    "small": Schedule(steps=160, batch=16, learning_rate=5e-5, warmup=16, bf16=None),
    "large": Schedule(steps=260, batch=16, learning_rate=5e-4, warmup=26, bf16=None),
}


def tiny_recipe(task: str = "chains", regime: str = "large", shape: str = "llama", seed: int = 0) -> FineTuneRecipe:
    """Return the recipe of a tiny pair.

    Args:
        task: "chains", "records" or "brackets".
        regime: "small" or "large".
        shape: One of SHAPES.
        seed: Of base and fine-tune alike: their first weights, items and order.

    Raises:
        ModelError: The regime or the shape is unknown.
    """
    if shape not in SHAPES:
        raise ModelError(f"there is no tiny shape {shape!r}; there are {', '.join(SHAPES)}")
    base = replace(_TINY_BASE, shape=SHAPES[shape], seed=seed)
    return _recipe(_TINY, base, task, regime, seed)


def smollm2_recipe(task: str, regime: str, seed: int = 0) -> FineTuneRecipe:
    """Return the recipe of a fine-tune of SmolLM2-135M-Instruct; `task` is arithmetic, cards or programs.

    Raises:
        ModelError: The regime is unknown.
    """
    return _recipe(_SMOLLM2, "smollm2-135m-instruct", task, regime, seed)


def _recipe(schedules: dict[str, Schedule], base: TinyBase | str, task: str, regime: str, seed: int) -> FineTuneRecipe:
    if regime not in schedules:
        raise ModelError(f"a regime is one of {', '.join(schedules)}, got {regime!r}")
    settings = schedules[regime].__dict__ | {"seed": seed}
    return FineTuneRecipe(base=base, task=task, regime=regime, **settings)


FINETUNES: dict[str, FineTuneRecipe] = {
    f"tiny-{task}-{regime}": tiny_recipe(task, regime)
    for task in ("chains", "records", "brackets")
    for regime in REGIMES
} | {
    f"smollm2-{task}-{regime}": smollm2_recipe(task, regime)
    for task in ("arithmetic", "cards", "programs")
    for regime in REGIMES
}


def finetune_recipe(name: str, seed: int | None = None) -> FineTuneRecipe:
    """Return a named recipe, with another seed where one is given (for a tiny pair the base has it too).

    Raises:
        ModelError: The name is not one of FINETUNES.
    """
    if name not in FINETUNES:
        raise ModelError(f"there is no fine-tune {name!r}; there are {', '.join(FINETUNES)}")
    recipe = FINETUNES[name]
    if seed is None:
        return recipe
    base = replace(recipe.base, seed=seed) if isinstance(recipe.base, TinyBase) else recipe.base
    return replace(recipe, base=base, seed=seed)
