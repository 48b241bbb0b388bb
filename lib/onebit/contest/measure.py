"""One contestant in one setting: its size, and the quality of the model that comes of it."""

import math
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from lib.models.choices import ChoiceTask, choose
from lib.models.quality import measure_quality
from lib.onebit.contest.methods import Bits, Method
from lib.onebit.sizes import Architecture
from lib.onebit.training import DistillationRecipe, DivergedError, distil
from lib.onebit.training.setting import Setting

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

_DENSE_BITS = 16


@dataclass(frozen=True)
class Sizes:
    """What a model takes to store.

    Attributes:
        bits: Stored bits a weight of the projections, value vectors and grids included.
        bytes: The whole model; embedding, norms and an untied output head in fp16.
    """

    bits: float
    bytes: float


@dataclass(frozen=True)
class Score:
    """What came of a contestant.

    Attributes:
        name: The method's name; "teacher" for the dense model itself.
        label: What it is.
        sizes: Stored bits a weight and bytes of the model.
        perplexity: On held-out text.
        accuracy: Share of next tokens that were the most probable one, 0 to 1.
        right: For each continuation, whether it was chosen rightly.
        tokens: That it was trained on; 0 without training.
        seconds: Processor time for making it, without the measuring.
    """

    name: str
    label: str
    sizes: Sizes
    perplexity: float
    accuracy: float
    right: tuple[bool, ...]
    tokens: int
    seconds: float

    @property
    def choice_accuracy(self) -> float:
        """Share of continuations chosen rightly, 0 to 1; chance is 1 / choices."""
        return sum(self.right) / len(self.right)

    def right_with(self, other: "Score") -> float:
        """Return the share of continuations that both chose rightly, 0 to 1."""
        return sum(map(all, zip(self.right, other.right, strict=True))) / len(self.right)

    def __repr__(self) -> str:
        return (
            f"Score({self.label}: {self.sizes.bits:.3f} bits, perplexity {self.perplexity:.4g}, "
            f"accuracy {self.accuracy:.4g}, continuation {self.choice_accuracy:.3g})"
        )


@dataclass(frozen=True)
class Divergence:
    """A contestant whose training came to nothing.

    Attributes:
        name: The method's name.
        label: What it is.
        sizes: What it would take to store.
        step: At which it was stopped; the last, where only its perplexity is no finite number.
    """

    name: str
    label: str
    sizes: Sizes
    step: int

    def __repr__(self) -> str:
        return f"Divergence({self.label}: {self.sizes.bits:.3f} bits, diverged after {self.step} steps)"


def sizes_of(config: dict[str, Any], bits: Bits | None = None) -> Sizes:
    """Return what a model of the Llama shape takes to store.

    Args:
        config: Its config.json as a dictionary.
        bits: (m, n) -> bits a weight of a projection; None: dense, in fp16.
    """
    shape = Architecture.from_config("model", config)
    per_weight = bits or (lambda _m, _n: float(_DENSE_BITS))
    linear_bits = sum(m * n * per_weight(m, n) for m, n in shape.linear_shapes)
    return Sizes(linear_bits / shape.linear_weights, linear_bits / 8 + _DENSE_BITS / 8 * shape.other_weights)


def compete(
    method: Method,
    setting: Setting,
    task: ChoiceTask,
    recipe: DistillationRecipe,
    learning_rate: float | None = None,
) -> Score:
    """Return what comes of a contestant: made from the setting's teacher, measured on its test text.

    Args:
        method: Which.
        setting: Teacher and text; an untrained method calibrates on the training text if at all.
        task: Continuations to choose from.
        recipe: Budget, loss and order of the text of all trained methods.
        learning_rate: Peak rate of a trained method; None: the method's own.

    Raises:
        DivergedError: Its training came to nothing.
    """
    started, tokens = time.process_time(), 0
    model = method.make(setting.model, setting.train)
    if method.learning_rate is not None:
        own = replace(recipe, learning_rate=learning_rate or method.learning_rate)
        tokens = distil(model, setting.model, setting.train, own).tokens
    seconds = time.process_time() - started
    sizes = sizes_of(setting.model.config.to_dict(), method.bits)
    return _score(method.name, method.label, sizes, model, setting.test, task, tokens, seconds)


def attempt(
    method: Method,
    setting: Setting,
    task: ChoiceTask,
    recipe: DistillationRecipe,
    learning_rate: float | None = None,
) -> Score | Divergence:
    """Return what comes of a contestant as `compete`, a training that diverges included: that is a result as well."""
    try:
        score = compete(method, setting, task, recipe, learning_rate)
    except DivergedError as error:
        step = error.step
    else:
        if math.isfinite(score.perplexity):
            return score
        step = recipe.steps if score.tokens else 0  # the last step broke it, after the last look at the loss
    return Divergence(method.name, method.label, sizes_of(setting.model.config.to_dict(), method.bits), step)


def dense_score(name: str, model: "PreTrainedModel", test: "torch.Tensor", task: ChoiceTask) -> Score:
    """Return the score of a dense model as it is, stored in fp16: the teacher, or a smaller model to compare with."""
    return _score(name, f"{name}, fp16", sizes_of(model.config.to_dict()), model, test, task, 0, 0.0)


def by_method(outcomes: Iterable[Score | Divergence]) -> dict[str, dict[str, float]]:
    """Return outcomes as the fields of `CompareAtEqualBits` that are keyed by method; the teacher is among them."""
    outcomes = list(outcomes)
    scores = [each for each in outcomes if isinstance(each, Score)]
    teacher = next(each for each in scores if each.name == "teacher")
    qualities = ("perplexity", "accuracy", "choice_accuracy")
    found = {name: {each.name: getattr(each, name) for each in scores} for name in qualities}
    found["right_with_teacher"] = {each.name: each.right_with(teacher) for each in scores}
    found["diverged"] = {each.name: float(each.step) for each in outcomes if isinstance(each, Divergence)}
    found["bits"] = {each.name: each.sizes.bits for each in outcomes}
    found["bytes"] = {each.name: each.sizes.bytes for each in outcomes}
    found["cpu_seconds"] = {each.name: each.seconds for each in scores}
    return found


def _score(
    name: str,
    label: str,
    sizes: Sizes,
    model: "PreTrainedModel",
    test: "torch.Tensor",
    task: ChoiceTask,
    tokens: int,
    seconds: float,
) -> Score:
    quality = measure_quality(model, test)
    right = tuple((choose(model, task) == task.answers).tolist())
    return Score(name, label, sizes, quality.perplexity, quality.accuracy, right, tokens, seconds)
