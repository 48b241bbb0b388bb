"""From estimates to verdicts, and from the verdicts of a claim's parts to one.

A paper's judge is mostly one line:

    return below(over_seeds([each.error for each in metrics]), 0.38, no_effect=1.0)
    return agrees(exact(metrics[0].bits), 1.0073, tolerance=0.00005)
    return no_violations(sum(each.violations for each in metrics), sum(each.matrices for each in metrics), "matrices")

An interval inside the claimed region `holds`; one that crosses its border is `inconclusive`; one outside `fails`, but
where all of it lies on the claimed side of `no_effect` it `holds in direction`. Without an interval the number alone
decides, and the reason says so.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from lib.ledger.claim import Claim, Part, Status, Verdict
from lib.ledger.digits import four_digits, interval_text
from lib.ledger.intervals import Estimate, wilson_interval
from lib.ledger.metrics import Metrics

_WORST_FIRST = (Status.FAILS, Status.INCONCLUSIVE, Status.HOLDS_IN_DIRECTION, Status.HOLDS)


class JudgeError(RuntimeError):
    """A judge raised, or returned no verdict; the message names the claim and the part."""


def below(estimate: Estimate, threshold: float, no_effect: float | None = None) -> Verdict:
    """Judge the claim that a number is less than a threshold.

    Args:
        estimate: The number measured.
        threshold: What it is claimed to be less than.
        no_effect: What the number would be if there were nothing to the claim, at least the threshold.
    """
    if no_effect is not None and no_effect < threshold:
        raise ValueError(f"no_effect {no_effect} is itself below the threshold {threshold}")
    direction = None if no_effect is None else _Region(-math.inf, no_effect)
    return _verdict(estimate, _Region(-math.inf, threshold), direction, f"below {four_digits(threshold)}")


def above(estimate: Estimate, threshold: float, no_effect: float | None = None) -> Verdict:
    """Judge the claim that a number is greater than a threshold; `no_effect` is at most the threshold."""
    if no_effect is not None and no_effect > threshold:
        raise ValueError(f"no_effect {no_effect} is itself above the threshold {threshold}")
    direction = None if no_effect is None else _Region(no_effect, math.inf)
    return _verdict(estimate, _Region(threshold, math.inf), direction, f"above {four_digits(threshold)}")


def agrees(estimate: Estimate, expected: float, tolerance: float, no_effect: float | None = None) -> Verdict:
    """Judge the claim that a number is the paper's, within a tolerance.

    Args:
        estimate: The number measured.
        expected: The paper's number.
        tolerance: How far off it may be, both ends included; 0 asks for the very number.
        no_effect: What the number would be if there were nothing to the claim, outside the tolerance: what lies on
            the paper's side of it holds in direction.
    """
    claimed = _Region(expected - tolerance, expected + tolerance, closed=True)
    if tolerance < 0 or (no_effect is not None and claimed.covers(no_effect, no_effect)):
        raise ValueError(
            f"expected {expected} ± {tolerance} with no_effect {no_effect}: a tolerance is at least 0 and "
            "no_effect lies outside it"
        )
    direction = None
    if no_effect is not None:
        direction = _Region(no_effect, math.inf) if no_effect < expected else _Region(-math.inf, no_effect)
    text = f"{expected:.10g}" + (f" within {four_digits(tolerance)}" if tolerance else "")
    resolution = tolerance / 10 or abs(expected) * 1e-10  # digits that show on which side of the tolerance it lies
    return _verdict(estimate, claimed, direction, text, resolution)


def no_violations(count: int, trials: int, of: str) -> Verdict:
    """Judge a statement that is to hold every time: one violation refutes it.

    Args:
        count: Violations found.
        trials: How many cases were looked at; none at all is no measurement.
        of: What they are, e.g. "matrices".
    """
    if trials == 0:
        return Verdict(Status.NOT_MEASURED, f"none of the {of} were looked at")
    most = wilson_interval(count, trials)[1]
    bound = "" if count else f" (95 % bound on their share: {four_digits(100 * most)} %)"
    reason = f"{count} violations in {trials} {of}{bound}"
    return Verdict(Status.FAILS if count else Status.HOLDS, reason, float(count))


def not_measured(reason: str) -> Verdict:
    """Return the verdict of a judge that finds in its evidence nothing to judge by."""
    return Verdict(Status.NOT_MEASURED, reason)


def all_of(**verdicts: Verdict) -> Verdict:
    """Combine verdicts inside one judge as `judge` combines parts: the worst decides.

    Args:
        verdicts: By what each is about: `all_of(attention=below(…), mlp=below(…))`.
    """
    return _combine([(name.replace("_", " "), verdict) for name, verdict in verdicts.items()])


def judge(claim: Claim, evidence: Iterable[Metrics]) -> Verdict:
    """Return a claim's verdict: the worst of its measured parts; a part not measured caps it at `holds in direction`.

    Args:
        claim: The claim.
        evidence: Metrics of any type; each part's judge gets those of its own type, and is not called without any.

    Raises:
        JudgeError: A judge raised, or returned something that is no verdict.
    """
    evidence = list(evidence)
    return _combine([(part.name, _part_verdict(claim, part, evidence)) for part in claim.parts])


@dataclass(frozen=True)
class _Region:
    """Numbers between two ends, which belong to it only if it is closed."""

    low: float
    high: float
    closed: bool = False

    def covers(self, low: float, high: float) -> bool:
        if self.closed:
            return self.low <= low and high <= self.high
        return self.low < low and high < self.high

    def misses(self, low: float, high: float) -> bool:
        if self.closed:
            return high < self.low or low > self.high
        return high <= self.low or low >= self.high


def _verdict(
    estimate: Estimate, claimed: _Region, direction: _Region | None, text: str, resolution: float = math.inf
) -> Verdict:
    ends = estimate.interval or (estimate.value, estimate.value)
    number = four_digits(estimate.value, resolution) + (
        f" ({interval_text(estimate.interval)})" if estimate.interval else ""
    )
    status, says = Status.FAILS, f"{number} is not {text}"
    if claimed.covers(*ends):
        status, says = Status.HOLDS, f"{number} is {text}"
    elif not claimed.misses(*ends):
        status, says = Status.INCONCLUSIVE, f"{number} may or may not be {text}: the interval does not tell"
    elif direction is not None and direction.covers(*ends):
        status, says = Status.HOLDS_IN_DIRECTION, f"{number} is on the claimed side, but not {text}"
    elif direction is not None and not direction.misses(*ends):
        status, says = Status.INCONCLUSIVE, f"{number} is not {text}, and the interval does not tell the direction"
    return Verdict(status, f"{says} ({estimate.basis})", estimate.value, estimate.interval)


def _part_verdict(claim: Claim, part: Part, evidence: Sequence[Metrics]) -> Verdict:
    own = [metrics for metrics in evidence if type(metrics) is part.metrics]
    if part.judge is None or not own:
        return not_measured(part.reason or "no record yet")
    try:
        verdict = part.judge(own)
    except Exception as error:
        raise JudgeError(f"{claim.id}, {part.name}: the judge raised {type(error).__name__}: {error}") from error
    if not isinstance(verdict, Verdict):
        raise JudgeError(f"{claim.id}, {part.name}: the judge returned {verdict!r} instead of a Verdict")
    return verdict


def _combine(parts: Sequence[tuple[str, Verdict]]) -> Verdict:
    if len(parts) == 1:
        return parts[0][1]
    measured = [(name, verdict) for name, verdict in parts if verdict.status is not Status.NOT_MEASURED]
    missing = [(name, verdict) for name, verdict in parts if verdict.status is Status.NOT_MEASURED]
    says = [f"{name}: {verdict.reason}" for name, verdict in measured]
    says += [f"{name} is not measured: {verdict.reason}" for name, verdict in missing]
    reason = "; ".join(says)
    if not measured:
        return not_measured(reason)
    _, deciding = min(measured, key=lambda part: _WORST_FIRST.index(part[1].status))
    capped = missing and deciding.status is Status.HOLDS
    return replace(deciding, status=Status.HOLDS_IN_DIRECTION if capped else deciding.status, reason=reason)
