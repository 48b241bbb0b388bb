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


@dataclass(frozen=True, kw_only=True)
class CompareAtEqualBytes(Metrics):
    """04_compare_at_equal_bytes: one pair, one seed, every method in the same true bytes.

    `model` names all bases that runs are made on, `model_parameters` counts the largest: what one base shows is judged
    beside the others. Dictionaries are keyed by method; accuracies are 0 to 1; R = (s - s_base) / (s_ft - s_base).

    Attributes:
        base: What was fine-tuned in this run.
        task: What was learnt.
        style: Whether the task asks for a form rather than for a right result.
        regime: "small" or "large" delta.
        seed: Of base (if tiny), items and order.
        items: Held-out items.
        ratio: alpha.
        like: The plan whose true bytes are the budget at that alpha; "": alpha is real.
        budget: Bytes that the projections may take.
        ours: The method that is judged: 8+3+2 as the paper stores it, or folded where metadata would be a large part.
        base_accuracy: Of the base.
        finetuned_accuracy: Of the fine-tune.
        base_kl: KL(fine-tune || base) on answers, in nats a token.
        bytes: Stored for the projections.
        accuracy: Share of items answered rightly.
        recovery: R.
        recovery_low: Low end of its 95 % interval, bootstrap over items.
        recovery_high: High end.
        kl: KL(fine-tune || model) on answers, in nats a token.
        lead: R of ours minus R of the method.
        lead_low: Low end of its 95 % interval, paired bootstrap over items.
        lead_high: High end.
        kl_lead: KL of the method minus KL of ours.
        kl_lead_low: Low end of its 95 % interval, paired bootstrap over items.
        kl_lead_high: High end.
        activation: Mean squared error of activations, keyed "method third columns".
        curve_recovery: R of ours by ratio, keyed "1/32".
        curve_kl: KL of ours by ratio.
        curve_bytes: Bytes of ours by ratio.
        late_lead: R of ours at 1/32 minus R of the method at 1/16.
        late_lead_low: Low end of its 95 % interval, paired bootstrap over items.
        late_lead_high: High end.
        extra_drop: What a 4-bit base adds to the drop in R; None: not measured.
        extra_drop_low: Low end of its 95 % interval, bootstrap over items.
        extra_drop_high: High end.
        cpu_seconds: Processor time for making each model.
    """

    base: str
    task: str
    style: bool
    regime: str
    seed: int
    items: int
    ratio: float
    like: str = ""
    budget: int
    ours: str
    base_accuracy: float
    finetuned_accuracy: float
    base_kl: float
    bytes: dict[str, float] = field(default_factory=dict)
    accuracy: dict[str, float] = field(default_factory=dict)
    recovery: dict[str, float] = field(default_factory=dict)
    recovery_low: dict[str, float] = field(default_factory=dict)
    recovery_high: dict[str, float] = field(default_factory=dict)
    kl: dict[str, float] = field(default_factory=dict)
    lead: dict[str, float] = field(default_factory=dict)
    lead_low: dict[str, float] = field(default_factory=dict)
    lead_high: dict[str, float] = field(default_factory=dict)
    kl_lead: dict[str, float] = field(default_factory=dict)
    kl_lead_low: dict[str, float] = field(default_factory=dict)
    kl_lead_high: dict[str, float] = field(default_factory=dict)
    activation: dict[str, float] = field(default_factory=dict)
    curve_recovery: dict[str, float] = field(default_factory=dict)
    curve_kl: dict[str, float] = field(default_factory=dict)
    curve_bytes: dict[str, float] = field(default_factory=dict)
    late_lead: dict[str, float] = field(default_factory=dict)
    late_lead_low: dict[str, float] = field(default_factory=dict)
    late_lead_high: dict[str, float] = field(default_factory=dict)
    extra_drop: float | None = None
    extra_drop_low: float | None = None
    extra_drop_high: float | None = None
    cpu_seconds: dict[str, float] = timing()  # noqa: RUF009, makes a field


@dataclass(frozen=True, kw_only=True)
class CompareWithLora(Metrics):
    """05_compare_with_lora: a full fine-tune, compressed, against a LoRA trained in the same bytes on the same data.

    `model` and dictionaries as in `CompareAtEqualBytes`. Keys are "lora", a compressed method ("delta_come"), and that
    method with embedding and head of the base ("delta_come_shared"), which a LoRA has too.

    Attributes:
        base: What was fine-tuned.
        task: What was learnt.
        regime: "small" or "large": the schedule of both trainings.
        seed: Of base (if tiny), items and order.
        items: Held-out items.
        ratio: alpha.
        budget: Bytes that the projections may take.
        ours: The compressed method that is judged.
        base_accuracy: Of the base.
        finetuned_accuracy: Of the fine-tune.
        base_kl: KL(fine-tune || base) on answers, in nats a token.
        bytes: Stored for the projections.
        outside_bytes: What the fine-tune changed outside the projections, in fp16; a LoRA leaves it as it was.
        accuracy: Share of items answered rightly.
        recovery: R.
        kl: KL(fine-tune || model) on answers, in nats a token.
        lead: R of a compressed method minus R of the LoRA.
        lead_low: Low end of its 95 % interval, paired bootstrap over items.
        lead_high: High end.
        learning_rate: Of the LoRA.
        rates: Share of validation items answered rightly by learning rate, keyed by the rate; the best was taken.
        mean_rank: Of the LoRA, over all projections.
        steps: Of both trainings.
        cpu_seconds: Processor time for making each model.
    """

    base: str
    task: str
    regime: str
    seed: int
    items: int
    ratio: float
    budget: int
    ours: str
    base_accuracy: float
    finetuned_accuracy: float
    base_kl: float
    bytes: dict[str, float] = field(default_factory=dict)
    outside_bytes: float
    accuracy: dict[str, float] = field(default_factory=dict)
    recovery: dict[str, float] = field(default_factory=dict)
    kl: dict[str, float] = field(default_factory=dict)
    lead: dict[str, float] = field(default_factory=dict)
    lead_low: dict[str, float] = field(default_factory=dict)
    lead_high: dict[str, float] = field(default_factory=dict)
    learning_rate: float
    rates: dict[str, float] = field(default_factory=dict)
    mean_rank: float
    steps: int
    cpu_seconds: dict[str, float] = timing()  # noqa: RUF009, makes a field
