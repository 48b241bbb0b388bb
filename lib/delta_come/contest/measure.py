"""One contestant in one setting: its true bytes, and what its model still does of what the fine-tune learnt."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lib.delta_come.baselines import StoredDelta
from lib.delta_come.contest.activations import ActivationError, activation_error
from lib.delta_come.contest.budget import Budget, projection_shapes
from lib.delta_come.contest.methods import method_named
from lib.delta_come.contest.setting import Setting, share
from lib.delta_come.errors import DeltaError
from lib.ledger.intervals import bootstrap_interval
from lib.models.answer_divergence import Divergence

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Score:
    """What came of a contestant.

    Attributes:
        name: The method's name.
        label: What it is.
        bytes: All that is stored for the projections.
        budget: Bytes that it might take.
        correct: Whether each held-out item was answered rightly; () without a task.
        recovery: R = (s - s_base) / (s_ft - s_base); not a number where next to nothing was gained.
        divergence: KL(fine-tune || model) on answers.
        activation: Errors of activations; None where not asked for.
        seconds: Processor time for making it, without the measuring.
    """

    name: str
    label: str
    bytes: int
    budget: int
    correct: tuple[bool, ...] = field(repr=False)
    recovery: float
    divergence: Divergence
    activation: ActivationError | None = field(repr=False)
    seconds: float

    @property
    def accuracy(self) -> float:
        """Share of right answers."""
        return share(self.correct)

    @property
    def accuracy_interval(self) -> tuple[float, float]:
        """95 % bootstrap interval over items."""
        return _interval(self.correct)

    @property
    def kl(self) -> float:
        """KL to the fine-tune, in nats an answer token."""
        return self.divergence.mean

    @property
    def within_budget(self) -> bool:
        """Whether it takes no more than it might."""
        return self.bytes <= self.budget

    def __repr__(self) -> str:
        return (
            f"Score({self.label}: {self.bytes} of {self.budget} bytes, accuracy {self.accuracy:.3f}, "
            f"recovery {self.recovery:.3f}, KL {self.kl:.4g})"
        )


def compete(
    name: str,
    setting: Setting,
    budget: Budget,
    activations: bool = False,
    keep: dict[str, StoredDelta] | None = None,
) -> Score:
    """Compress a pair by one method and return what came of it.

    Args:
        name: Of `METHODS`.
        setting: Pair, items and calibration text.
        budget: True bytes.
        activations: Whether activations are compared too.
        keep: Where what was made is put, by the method's name, for whoever needs it once more.

    Raises:
        DeltaError: There is no such method, it does not fit into the budget, or took more than it.
    """
    method, started = method_named(name), time.process_time()
    stored = method.make(setting, budget)
    seconds = time.process_time() - started
    if keep is not None:
        keep[name] = stored
    score = measure(stored, setting, budget, method.label, activations, seconds=seconds)
    if not (score.within_budget or method.over_budget):
        raise DeltaError(f"{name} took {score.bytes} bytes of a budget of {score.budget}: its ranks do not fit")
    return score


def measure(
    stored: StoredDelta,
    setting: Setting,
    budget: Budget,
    label: str = "",
    activations: bool = False,
    outside: str = "finetuned",
    seconds: float = 0.0,
) -> Score:
    """Return what a stored delta is worth.

    Args:
        stored: Of any origin.
        setting: Pair and items.
        budget: What its bytes are held against.
        label: What it is.
        activations: Whether activations are compared too.
        outside: Whose norms and embeddings the model has; see `Setting.model`.
        seconds: Processor time for making it.
    """
    model = setting.model(stored, outside)
    correct = setting.correct(model)
    return Score(
        name=stored.name,
        label=label or stored.name,
        bytes=stored.true_bytes,
        budget=budget.bytes(projection_shapes(setting.pair).values()),
        correct=correct,
        recovery=setting.recovery(share(correct)),
        divergence=setting.divergence(model),
        activation=activation_error(setting, model) if activations else None,
        seconds=seconds,
    )


@dataclass(frozen=True)
class Lead:
    """By how much one method is ahead of another on the same items, with 95 % bootstrap intervals over items.

    Attributes:
        recovery: R of the first minus R of the other; above 0 the first is ahead.
        recovery_interval: Low and high end.
        kl: KL of the other minus KL of the first, in nats an answer token; above 0 the first is ahead.
        kl_interval: Low and high end.
    """

    recovery: float
    recovery_interval: tuple[float, float]
    kl: float
    kl_interval: tuple[float, float]


def lead(setting: Setting, first: Score, other: Score, seed: int = 0) -> Lead:
    """Return how far the first is ahead of the other, items paired.

    Args:
        setting: That both were measured in.
        first: One method.
        other: The other.
        seed: Of the bootstrap.
    """
    gain = setting.gain if setting.gained else math.nan
    right = [(a - b) / gain for a, b in zip(first.correct, other.correct, strict=True)]
    ours, theirs = first.divergence, other.divergence
    rows = [
        ((b - a) * tokens, tokens) for a, b, tokens in zip(ours.per_item, theirs.per_item, ours.tokens, strict=True)
    ]
    return Lead(
        (first.accuracy - other.accuracy) / gain,
        _interval(right, seed),
        theirs.mean - ours.mean,
        # Items have different numbers of tokens: sums are resampled, then divided.
        bootstrap_interval(rows, lambda drawn: drawn[..., 0].sum(1) / drawn[..., 1].sum(1), seed=seed),
    )


def recovery_interval(setting: Setting, score: Score, seed: int = 0) -> tuple[float, float]:
    """Return the 95 % bootstrap interval of R over items; base and fine-tune vary with them.

    Not a number where next to nothing was gained. The gain of a resample is taken as at least half an item, so that
    none divides by zero.
    """
    if not setting.gained:
        return math.nan, math.nan
    rows = list(zip(score.correct, setting.base_correct, setting.finetuned_correct, strict=True))

    def R(drawn: "np.ndarray") -> "np.ndarray":
        s, base, finetuned = (drawn[..., column].mean(1) for column in range(3))
        gain = finetuned - base
        return ((s - base) / gain.clip(min=0.5 / len(rows))).clip(-1, 2)

    return bootstrap_interval(rows, R, seed=seed)


def _interval(values: Sequence[float], seed: int = 0) -> tuple[float, float]:
    """Return the interval of a mean over items; not a number where there is none."""
    if not values or math.isnan(values[0]):
        return math.nan, math.nan
    return bootstrap_interval(values, seed=seed)
