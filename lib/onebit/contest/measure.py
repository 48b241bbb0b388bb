"""One contestant in one setting: its size, and the quality of the model that comes of it."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from lib.models.choices import ChoiceTask, choice_accuracy
from lib.models.quality import measure_quality
from lib.onebit.contest.methods import Bits, Method
from lib.onebit.sizes import Architecture
from lib.onebit.training import DistillationRecipe, distil
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
        choice_accuracy: Share of continuations chosen rightly, 0 to 1; chance is 1 / choices.
        tokens: That it was trained on; 0 without training.
        seconds: Processor time for making it, without the measuring.
    """

    name: str
    label: str
    sizes: Sizes
    perplexity: float
    accuracy: float
    choice_accuracy: float
    tokens: int
    seconds: float

    def __repr__(self) -> str:
        return (
            f"Score({self.label}: {self.sizes.bits:.3f} bits, perplexity {self.perplexity:.4g}, "
            f"accuracy {self.accuracy:.4g}, continuation {self.choice_accuracy:.3g})"
        )


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


def dense_score(name: str, model: "PreTrainedModel", test: "torch.Tensor", task: ChoiceTask) -> Score:
    """Return the score of a dense model as it is, stored in fp16: the teacher, or a smaller model to compare with."""
    return _score(name, f"{name}, fp16", sizes_of(model.config.to_dict()), model, test, task, 0, 0.0)


def by_method(scores: Iterable[Score]) -> dict[str, dict[str, float]]:
    """Return scores as the fields of `CompareAtEqualBits` that are keyed by method."""
    scores = list(scores)
    qualities = ("perplexity", "accuracy", "choice_accuracy")
    found = {name: {each.name: getattr(each, name) for each in scores} for name in qualities}
    found["bits"] = {each.name: each.sizes.bits for each in scores}
    found["bytes"] = {each.name: each.sizes.bytes for each in scores}
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
    choices = choice_accuracy(model, task)
    return Score(name, label, sizes, quality.perplexity, quality.accuracy, choices, tokens, seconds)
