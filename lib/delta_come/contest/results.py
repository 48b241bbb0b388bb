"""From scores to the fields of `CompareAtEqualBytes` and `CompareWithLora`."""

from collections.abc import Iterable, Sequence
from typing import Any

from lib.delta_come.contest.backbone import Backbones
from lib.delta_come.contest.budget import Budget, projection_shapes, ratio_text
from lib.delta_come.contest.measure import Lead, Score, lead, recovery_interval
from lib.delta_come.contest.setting import Setting
from lib.delta_come.equal_bytes import EqualBytes
from lib.delta_come.errors import DeltaError
from lib.delta_come.options import SHARES, CompressOptions
from lib.delta_come.plan import Plan

AS_THE_PAPER, FOLDED = "delta_come", "delta_come_folded"
_PRECISIONS = 3


def judged_method(setting: Setting, budgets: Sequence[Budget], names: Iterable[str]) -> str:
    """Return the method that stands for 8+3+2: stored as the paper stores it where that fits, else folded.

    It fits where each of the three precisions gets a direction of every matrix in every budget. Both have the same
    plan, by shares of the budget: at width 4096 those are the paper's 2 and 32 directions.

    Args:
        setting: With the matrices.
        budgets: True bytes, of all ratios that it is to be measured at.
        names: Methods that take part.

    Raises:
        DeltaError: The one that stands for it is not among them.
    """
    chosen = AS_THE_PAPER if all(fits_as_the_paper(setting, budget) for budget in budgets) else FOLDED
    if chosen not in set(names):
        raise DeltaError(f"{chosen} is judged on these matrices and is not among {', '.join(names) or 'none'}; add it")
    return chosen


def fits_as_the_paper(setting: Setting, budget: Budget) -> bool:
    """Tell whether 8+3+2 with a scale for each row of U and group of directions fits into every matrix' bytes."""
    try:
        plans = _paper_plans(setting, budget)
    except DeltaError:
        return False
    return all(len(plan.groups) == _PRECISIONS for plan, _ in plans)


def metadata_share(setting: Setting, budget: Budget) -> float:
    """Return which share of the bytes of 8+3+2, as the paper stores it, is not codes.

    Raises:
        DeltaError: It does not fit at all.
    """
    plans, storage = _paper_plans(setting, budget), CompressOptions().storage
    return 1 - sum(plan.payload_bits(*shape) for plan, shape in plans) / sum(
        plan.true_bits(*shape, storage) for plan, shape in plans
    )


def _paper_plans(setting: Setting, budget: Budget) -> list[tuple[Plan, tuple[int, int]]]:
    rule, storage = EqualBytes(SHARES, budget.like), CompressOptions().storage
    shapes = projection_shapes(setting.pair)
    return [(rule.resolve(*shape, budget.ratio, storage, name), shape) for name, shape in shapes.items()]


def by_method(setting: Setting, scores: Sequence[Score], ours: str) -> dict[str, Any]:
    """Return scores in one budget as the fields that are keyed by method.

    Args:
        setting: That all were measured in.
        scores: One a method.
        ours: Name of the one that the others are held against.
    """
    first = next(score for score in scores if score.name == ours)
    leads = {score.name: lead(setting, first, score) for score in scores if score.name != ours}
    found = {
        "bytes": {score.name: float(score.bytes) for score in scores},
        "kl": {score.name: score.kl for score in scores},
        "kl_lead": {name: each.kl for name, each in leads.items()},
        "kl_lead_low": {name: each.kl_interval[0] for name, each in leads.items()},
        "kl_lead_high": {name: each.kl_interval[1] for name, each in leads.items()},
        "activation": _activations(scores),
        "cpu_seconds": {score.name: score.seconds for score in scores},
    }
    if setting.task:
        found["accuracy"] = {score.name: score.accuracy for score in scores}
    return found | (_of_recovery(setting, scores, leads) if setting.gained else {})


def _of_recovery(setting: Setting, scores: Sequence[Score], leads: dict[str, Lead]) -> dict[str, Any]:
    intervals = {score.name: recovery_interval(setting, score) for score in scores}
    return {
        "recovery": {score.name: score.recovery for score in scores},
        "recovery_low": {name: ends[0] for name, ends in intervals.items()},
        "recovery_high": {name: ends[1] for name, ends in intervals.items()},
        "lead": {name: each.recovery for name, each in leads.items()},
        "lead_low": {name: each.recovery_interval[0] for name, each in leads.items()},
        "lead_high": {name: each.recovery_interval[1] for name, each in leads.items()},
    }


def against_lora(setting: Setting, scores: Sequence[Score], lora: Score) -> dict[str, Any]:
    """Return what a record says of compressed fine-tunes beside a LoRA.

    Args:
        setting: That all were measured in.
        scores: One a compressed method.
        lora: Of the LoRA.
    """
    everyone = (*scores, lora)
    found: dict[str, Any] = {
        "bytes": {score.name: float(score.bytes) for score in everyone},
        "outside_bytes": float(outside_bytes(setting)),
        "accuracy": {score.name: score.accuracy for score in everyone},
        "kl": {score.name: score.kl for score in everyone},
        "cpu_seconds": {score.name: score.seconds for score in everyone},
    }
    if setting.gained:
        leads = {score.name: lead(setting, score, lora) for score in scores}
        found["recovery"] = {score.name: score.recovery for score in everyone}
        found["lead"] = {name: each.recovery for name, each in leads.items()}
        found["lead_low"] = {name: each.recovery_interval[0] for name, each in leads.items()}
        found["lead_high"] = {name: each.recovery_interval[1] for name, each in leads.items()}
    return found


def outside_bytes(setting: Setting) -> int:
    """Return what norms, embeddings and biases take in fp16 that the fine-tune changed: a LoRA leaves them alone."""
    return sum(2 * tensor.numel() for tensor in setting.pair.raw().values())


def of_setting(setting: Setting) -> dict[str, Any]:
    """Return what a record says of the pair itself."""
    return {
        "task": setting.task or "",
        "items": len(setting.items),
        "base_accuracy": setting.base_accuracy if setting.task else None,
        "finetuned_accuracy": setting.finetuned_accuracy if setting.task else None,
        "base_kl": setting.base_divergence.mean,
    }


def of_curve(
    setting: Setting,
    curve: dict[float, Score],
    ours: Score,
    others: Sequence[Score],
    fine: float = 1 / 20,
    late: float = 1 / 32,
) -> dict[str, Any]:
    """Return what a record says of other ratios.

    Args:
        setting: That all were measured in.
        curve: Ours by ratio.
        ours: Ours at the ratio at which methods are compared, 1/16.
        others: The other methods at that ratio.
        fine: The ratio at which ours is held against itself at 1/16.
        late: The ratio at which ours is held against the others at 1/16.
    """
    found: dict[str, Any] = {
        "curve_kl": {ratio_text(ratio): score.kl for ratio, score in curve.items()},
        "curve_bytes": {ratio_text(ratio): float(score.bytes) for ratio, score in curve.items()},
    }
    if not setting.gained:
        return found
    found["curve_recovery"] = {ratio_text(ratio): score.recovery for ratio, score in curve.items()}
    if fine in curve:
        lost = lead(setting, ours, curve[fine])
        found["fine_drop"], (found["fine_drop_low"], found["fine_drop_high"]) = lost.recovery, lost.recovery_interval
    if late in curve:
        leads = {score.name: lead(setting, curve[late], score) for score in others}
        found["late_lead"] = {name: each.recovery for name, each in leads.items()}
        found["late_lead_low"] = {name: each.recovery_interval[0] for name, each in leads.items()}
        found["late_lead_high"] = {name: each.recovery_interval[1] for name, each in leads.items()}
    return found


def of_backbones(found: Backbones) -> dict[str, float]:
    """Return what a record says of a 4-bit base."""
    low, high = found.extra_drop_interval
    return {
        "extra_drop": found.extra_drop,
        "extra_drop_low": low,
        "extra_drop_high": high,
        "exact_on_4_bits": found.exact_4,
        "compressed_on_4_bits": found.compressed_4,
    }


def _activations(scores: Iterable[Score]) -> dict[str, float]:
    return {
        f"{score.name} {third} {columns}": error
        for score in scores
        if score.activation
        for (third, columns), error in score.activation.by_place().items()
    }
