"""Training one student of a comparison, and what is kept of it.

    outcome = run_variant(variants.starts(["copy"], 1e-3, 1e-2)[0], setting, DistillationRecipe(steps=150))
    outcome.area, outcome.perplexity, outcome.flipped

Of a comparison all students see the same blocks in the same order, so that differences within a seed are paired. A
training that diverges is an outcome like any other.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

from lib.models.quality import measure_quality
from lib.onebit.training.conversion import MakeLayer, student_of
from lib.onebit.training.distillation import distil
from lib.onebit.training.divergence import DivergedError
from lib.onebit.training.losses import LossWeights
from lib.onebit.training.magnitudes import LayerMagnitude, layer_magnitudes
from lib.onebit.training.output_size import largest_hidden
from lib.onebit.training.recipe import DistillationRecipe
from lib.onebit.training.setting import Setting
from lib.onebit.training.trainer import Row
from lib.progress import progress

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

_POINTS = 40  # of a learning curve
_TAIL = 10  # the last tenth of it is the end of the training
_MEASURED_BLOCKS = 16  # for the size of activations


class Form(Protocol):
    """How a student's layers are made: `OneBitForm`, `BitNetForm` and their like."""

    @property
    def make_layer(self) -> MakeLayer:
        """What takes a dense layer's place."""


@dataclass(frozen=True)
class Variant:
    """One student of a comparison.

    Attributes:
        name: What records and figures call it.
        form: Of its layers, their start included.
        learning_rate: Peak.
        weights: Of the loss.
        bf16: Precision of its products; None: that of the recipe.
    """

    name: str
    form: Form
    learning_rate: float
    weights: LossWeights = field(default_factory=LossWeights)
    bf16: bool | None = None


@dataclass(frozen=True)
class Outcome:
    """What came of training a variant.

    Attributes:
        variant: What was trained.
        diverged_at: Step at which the training was stopped, None if it went to its end. A training that was stopped
            has no curve and no perplexity.
        steps: Steps of the learning curve.
        losses: The weighted loss, mean over the steps up to each of those.
        perplexity: On the test text, None after a divergence.
        flipped: Share of signs that differ from the start's, 0 to 1.
        magnitudes: Sizes of the layers' outputs after training, on validation text, in fp32.
        hidden: Largest size of a hidden state after each block, the same way.
    """

    variant: Variant
    diverged_at: int | None = None
    steps: tuple[int, ...] = ()
    losses: tuple[float, ...] = ()
    perplexity: float | None = None
    flipped: float | None = None
    magnitudes: tuple[LayerMagnitude, ...] = ()
    hidden: tuple[float, ...] = ()

    @property
    def name(self) -> str:
        """The variant's name."""
        return self.variant.name

    @property
    def area(self) -> float | None:
        """Area under the learning curve a step: the mean loss of the whole training."""
        return sum(self.losses) / len(self.losses) if self.losses else None

    @property
    def final_loss(self) -> float | None:
        """Mean loss over the last tenth of the training."""
        last = self.losses[-max(1, len(self.losses) // _TAIL) :]
        return sum(last) / len(last) if last else None

    def steps_to(self, loss: float) -> int | None:
        """Return the first step of the curve at which the loss is no larger than a given one, None if it never is."""
        return next((step for step, value in zip(self.steps, self.losses, strict=True) if value <= loss), None)

    def __repr__(self) -> str:
        if self.diverged_at is not None:
            return f"{self.name}: diverged after {self.diverged_at} steps"
        return f"{self.name}: mean loss {self.area:.4g}, perplexity {self.perplexity:.4g}, {self.flipped:.1%} flipped"


def run_variant(variant: Variant, setting: Setting, recipe: DistillationRecipe) -> Outcome:
    """Train a variant and return its outcome.

    Args:
        variant: What is trained; its learning rate, loss and precision replace the recipe's.
        setting: Teacher and text; the teacher is only read.
        recipe: Steps, batch and the rest, equal for all variants of a comparison.
    """
    recipe = replace(
        recipe,
        learning_rate=variant.learning_rate,
        weights=variant.weights,
        bf16=recipe.bf16 if variant.bf16 is None else variant.bf16,
        log_every=max(1, recipe.steps // _POINTS),
    )
    student = student_of(setting.model, variant.form.make_layer)
    try:
        trained = distil(student, setting.model, setting.train, recipe)
    except DivergedError as error:
        return Outcome(variant, diverged_at=error.step)
    return _measured(variant, student, trained.history, setting)


def run_all(variants: Sequence[Variant], setting: Setting, recipe: DistillationRecipe) -> dict[str, Outcome]:
    """Return the outcome of every variant, by its name, in their order."""
    return {each.name: run_variant(each, setting, recipe) for each in progress(variants, "comparing")}


def _measured(variant: Variant, student: "PreTrainedModel", history: Sequence[Row], setting: Setting) -> Outcome:
    perplexity = measure_quality(student, setting.test).perplexity
    if not math.isfinite(perplexity):  # the very last step broke it, after the last look at the loss
        return Outcome(variant, diverged_at=history[-1].step)
    sample: torch.Tensor = setting.validation[:_MEASURED_BLOCKS]
    return Outcome(
        variant=variant,
        steps=tuple(row.step for row in history),
        losses=tuple(row.loss for row in history),
        perplexity=perplexity,
        flipped=history[-1].flipped,
        magnitudes=layer_magnitudes(student, sample),
        hidden=largest_hidden(student, sample),
    )
