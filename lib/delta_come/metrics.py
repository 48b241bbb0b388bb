"""What Delta-CoMe's notebooks measure, one dataclass a notebook."""

from dataclasses import dataclass, field

from lib.ledger import Metrics, timing


@dataclass(frozen=True, kw_only=True)
class FineTuneAModel(Metrics):
    """00_fine_tune_a_model: a base, its fine-tunes in two regimes, and how large their deltas are.

    Dictionaries are by regime, "small" and "large".

    Attributes:
        task: What was learnt.
        items: Held-out items.
        seed: Of base, items and order.
        base_accuracy: Share of held-out items that the base answers rightly.
        base_style: Mean style of its answers, 0 to 1.
        accuracies: Share of held-out items that each fine-tune answers rightly.
        styles: Mean style of each one's answers.
        divergences: Mean KL(fine-tune || base) over the answers' tokens, in nats.
        relative_norms: Frobenius norm of all projections' deltas over that of the base's projections.
        bf16_noise: Rounding of each fine-tune to bf16 over its delta, both as Frobenius norms over all projections.
        steps: Optimiser steps of each.
        seconds: Time for the held-out items of all three models.
    """

    task: str
    items: int
    seed: int
    base_accuracy: float
    base_style: float
    accuracies: dict[str, float] = field(default_factory=dict)
    styles: dict[str, float] = field(default_factory=dict)
    divergences: dict[str, float] = field(default_factory=dict)
    relative_norms: dict[str, float] = field(default_factory=dict)
    bf16_noise: dict[str, float] = field(default_factory=dict)
    steps: dict[str, float] = field(default_factory=dict)
    seconds: float = timing()
