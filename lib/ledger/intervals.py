"""Estimates with 95 % intervals: over seeds, over items, of a proportion.

over_seeds([0.371, 0.373, 0.372])      # mean with Student's t interval
over_items(errors, seed=0)             # mean with a bootstrap interval
proportion(successes=37, trials=40)    # share with Wilson's interval
exact(1.0073)                          # a computation without chance: no interval, and none needed

Degenerate cases: one value has no interval (None, and `basis` says so); equal values have one of width zero, which
claims no more than that they were equal; no value at all is an error.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

LEVEL = 0.95
_RESAMPLES = 2000
_CHUNK = 4_000_000  # drawn indices held at once, 32 MB


@dataclass(frozen=True)
class Estimate:
    """A number with what is known of its error.

    Attributes:
        value: The number.
        interval: Low and high end of its 95 % interval, or None.
        basis: What both rest on, e.g. "mean of 3 seeds"; it becomes part of a verdict's reason.
    """

    value: float
    interval: tuple[float, float] | None
    basis: str

    def __post_init__(self) -> None:
        numbers = [self.value, *(self.interval or ())]
        if not all(math.isfinite(number) for number in numbers):
            raise ValueError(f"an estimate is finite, got {self.value} with interval {self.interval}")


def exact(value: float, basis: str = "computed, no chance in it") -> Estimate:
    """Return an estimate of something that has no chance in it: a size, a count, a bound."""
    return Estimate(float(value), None, basis)


def over_seeds(values: Sequence[float], unit: str = "seed") -> Estimate:
    """Return the mean of independent repetitions with Student's t interval: mean ± t·s/√n, n-1 degrees of freedom.

    Args:
        values: One number a seed. A single one gives no interval.
        unit: What was repeated, for `basis`.

    Raises:
        ValueError: No values, or one that is not finite.
    """
    mean = _mean(values)
    if len(values) == 1:
        return Estimate(mean, None, f"one {unit}, so no interval")
    return Estimate(mean, t_interval(values), f"mean of {len(values)} {unit}s")


def over_items(items: Sequence[float], seed: int = 0, unit: str = "item") -> Estimate:
    """Return the mean over items with a percentile bootstrap interval.

    Args:
        items: One number an item, [n]. For a comparison on the same items: their differences.
        seed: Of the resampling.
        unit: What an item is, for `basis`.

    Raises:
        ValueError: No items, or one that is not finite.
    """
    mean = _mean(items)
    if len(items) == 1:
        return Estimate(mean, None, f"one {unit}, so no interval")
    return Estimate(mean, bootstrap_interval(items, seed=seed), f"mean of {len(items)} {unit}s, bootstrap")


def proportion(successes: int, trials: int, unit: str = "trial") -> Estimate:
    """Return a share with Wilson's score interval, which is sound at 0 and at 1 too."""
    return Estimate(successes / max(trials, 1), wilson_interval(successes, trials), f"{successes} of {trials} {unit}s")


def t_interval(values: Sequence[float], level: float = LEVEL) -> tuple[float, float]:
    """Return the t interval of a mean from at least two values."""
    from scipy.special import stdtrit

    mean, degrees = _mean(values), len(values) - 1
    if degrees < 1:
        raise ValueError(f"an interval needs at least two values, got {len(values)}")
    if min(values) == max(values):
        return float(values[0]), float(values[0])  # rounding would give the mean of equal numbers a width
    variance = sum((value - mean) ** 2 for value in values) / degrees
    half = float(stdtrit(degrees, (1 + level) / 2)) * math.sqrt(variance / len(values))
    return mean - half, mean + half


def bootstrap_interval(
    items: Sequence[float],
    statistic: "Callable[[np.ndarray], np.ndarray] | None" = None,
    level: float = LEVEL,
    resamples: int = _RESAMPLES,
    seed: int = 0,
) -> tuple[float, float]:
    """Return the percentile bootstrap interval of a statistic, items drawn with replacement.

    Args:
        items: One number an item, [n], or one row an item, [n, k].
        statistic: From resamples [b, n] (or [b, n, k]) to their values [b]; the mean over items by default.
        level: Coverage aimed at.
        resamples: How many resamples.
        seed: Of numpy's generator: the same seed gives the same interval.
    """
    import numpy as np

    values = np.asarray(items, dtype=np.float64)
    if len(values) < 2 or not np.isfinite(values).all():
        raise ValueError(f"a bootstrap needs at least two finite items, got {len(values)} with {values[:3]} …")
    statistic = statistic or (lambda drawn: drawn.mean(axis=1))
    generator = np.random.default_rng(seed)
    step = max(1, _CHUNK // values.size)
    sizes = [min(step, resamples - start) for start in range(0, resamples, step)]
    draws = [statistic(values[generator.integers(0, len(values), (size, len(values)))]) for size in sizes]
    low, high = np.quantile(np.concatenate(draws), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def wilson_interval(successes: int, trials: int, level: float = LEVEL) -> tuple[float, float]:
    """Return Wilson's score interval of a proportion (Wilson 1927)."""
    from scipy.special import ndtri

    if not 0 <= successes <= trials or trials == 0:
        raise ValueError(f"a proportion needs 0 <= successes <= trials and trials > 0, got {successes} of {trials}")
    z, share = float(ndtri((1 + level) / 2)), successes / trials
    centre = (share + z * z / (2 * trials)) / (1 + z * z / trials)
    half = z / (1 + z * z / trials) * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    low = 0.0 if successes == 0 else max(0.0, centre - half)  # exact at the ends, where rounding would miss them
    return low, 1.0 if successes == trials else min(1.0, centre + half)


def _mean(values: Sequence[float]) -> float:
    if len(values) == 0:
        raise ValueError("no values to take a mean of")
    if not all(math.isfinite(value) for value in values):
        raise ValueError(f"a mean needs finite values, got {[value for value in values if not math.isfinite(value)]}")
    if min(values) == max(values):
        return float(values[0])
    return math.fsum(values) / len(values)
