"""From scores to the fields of `CompareAtEqualBytes` and `CompareWithLora`."""

from collections.abc import Iterable, Sequence
from typing import Any

from lib.delta_come.contest.backbone import Backbones
from lib.delta_come.contest.budget import Budget, projection_shapes, ratio_text
from lib.delta_come.contest.measure import Score, lead, recovery_interval
from lib.delta_come.contest.setting import Setting
from lib.delta_come.equal_bytes import EqualBytes
from lib.delta_come.errors import DeltaError
from lib.delta_come.options import SHARES, CompressOptions

_AS_PAPER, _FOLDED = "delta_come", "delta_come_folded"
# Scales, zero points, singular values and permutation are 7 % of the bytes of a 4096 x 4096 matrix. Where they are more
# than this share, as in a matrix of 128 x 128 (half), the paper's storage would be judged and not its plan.
_MOST_METADATA = 0.25


def judged_method(setting: Setting, budget: Budget, names: Iterable[str]) -> str:
    """Return the method that stands for 8+3+2: as the paper stores it on matrices wide enough for that, else folded.

    Args:
        setting: With the matrices.
        budget: True bytes.
        names: Methods that take part.

    Raises:
        DeltaError: The one that stands for it is not among them.
    """
    chosen = _AS_PAPER if metadata_share(setting, budget) <= _MOST_METADATA else _FOLDED
    if chosen not in set(names):
        raise DeltaError(f"{chosen} is judged on these matrices and is not among {', '.join(names) or 'none'}; add it")
    return chosen


def metadata_share(setting: Setting, budget: Budget) -> float:
    """Return which share of the bytes of 8+3+2, as the paper stores it, is not codes; 1 where it does not fit."""
    payload = total = 0
    rule, storage = EqualBytes(SHARES, budget.like), CompressOptions().storage
    for name, (m, n) in projection_shapes(setting.pair).items():
        try:
            plan = rule.resolve(m, n, budget.ratio, storage, name)
        except DeltaError:
            return 1.0
        payload += plan.payload_bits(m, n)
        total += plan.true_bits(m, n, storage)
    return 1 - payload / total


def by_method(setting: Setting, scores: Sequence[Score], ours: str) -> dict[str, Any]:
    """Return scores in one budget as the fields that are keyed by method.

    Args:
        setting: That all were measured in.
        scores: One a method.
        ours: Name of the one that the others are held against.
    """
    first = next(score for score in scores if score.name == ours)
    leads = {score.name: lead(setting, first, score) for score in scores if score.name != ours}
    intervals = {score.name: recovery_interval(setting, score) for score in scores}
    return {
        "bytes": {score.name: float(score.bytes) for score in scores},
        "accuracy": {score.name: score.accuracy for score in scores},
        "recovery": {score.name: score.recovery for score in scores},
        "recovery_low": {name: ends[0] for name, ends in intervals.items()},
        "recovery_high": {name: ends[1] for name, ends in intervals.items()},
        "kl": {score.name: score.kl for score in scores},
        "lead": {name: each.recovery for name, each in leads.items()},
        "lead_low": {name: each.recovery_interval[0] for name, each in leads.items()},
        "lead_high": {name: each.recovery_interval[1] for name, each in leads.items()},
        "kl_lead": {name: each.kl for name, each in leads.items()},
        "kl_lead_low": {name: each.kl_interval[0] for name, each in leads.items()},
        "kl_lead_high": {name: each.kl_interval[1] for name, each in leads.items()},
        "activation": _activations(scores),
        "cpu_seconds": {score.name: score.seconds for score in scores},
    }


def of_setting(setting: Setting) -> dict[str, Any]:
    """Return what a record says of the pair itself."""
    return {
        "task": setting.task,
        "items": len(setting.items),
        "base_accuracy": setting.base_score.accuracy,
        "finetuned_accuracy": setting.finetuned_score.accuracy,
        "base_kl": setting.base_divergence.mean,
    }


def of_curve(
    setting: Setting, curve: dict[float, Score], at_16: Sequence[Score], late: float = 1 / 32
) -> dict[str, Any]:
    """Return what a record says of other ratios.

    Args:
        setting: That all were measured in.
        curve: Ours by ratio.
        at_16: The other methods at 1/16.
        late: The ratio at which ours is held against those.
    """
    found: dict[str, Any] = {
        "curve_recovery": {ratio_text(ratio): score.recovery for ratio, score in curve.items()},
        "curve_kl": {ratio_text(ratio): score.kl for ratio, score in curve.items()},
        "curve_bytes": {ratio_text(ratio): float(score.bytes) for ratio, score in curve.items()},
    }
    if late in curve:
        leads = {score.name: lead(setting, curve[late], score) for score in at_16}
        found["late_lead"] = {name: each.recovery for name, each in leads.items()}
        found["late_lead_low"] = {name: each.recovery_interval[0] for name, each in leads.items()}
        found["late_lead_high"] = {name: each.recovery_interval[1] for name, each in leads.items()}
    return found


def of_backbones(found: Backbones) -> dict[str, float]:
    """Return what a record says of a 4-bit base."""
    low, high = found.extra_drop_interval
    return {"extra_drop": found.extra_drop, "extra_drop_low": low, "extra_drop_high": high}


def _activations(scores: Iterable[Score]) -> dict[str, float]:
    return {
        f"{score.name} {third} {columns}": error
        for score in scores
        if score.activation
        for (third, columns), error in score.activation.by_place().items()
    }
