"""Runs of notebooks 01 to 05 as judges need them: in groups, by what was gained, and as estimates with intervals."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import wraps

from lib.delta_come.gain import LEAST_GAIN
from lib.delta_come.metrics import (
    ChooseTheBits,
    CompareAtEqualBytes,
    CompareWithLora,
    CompressOneLayer,
    LookAtTheSpectrum,
)
from lib.ledger import Estimate, Status, Verdict, all_of, not_measured, over_seeds
from lib.models.finetuning.shapes import SHAPES

Runs = Sequence[CompareAtEqualBytes]
OfAPair = CompareAtEqualBytes | CompareWithLora | ChooseTheBits | CompressOneLayer | LookAtTheSpectrum

LOW_RANK = "low_rank"
BITDELTA, TRAINED_BITDELTA = "bitdelta", "bitdelta_trained"  # without and with distilled scales
NO_GAIN = "no gain to recover"
_RATIO = 1 / 16


def where_gained(judge: Callable[[Runs], Verdict]) -> Callable[[Runs], Verdict]:
    """Make a judge leave out the runs whose fine-tune is hardly better than its base, and say so.

    R is a share of what was gained. Where that is less than LEAST_GAIN, or where nobody can tell right answers from
    wrong ones, there is no gain to recover.
    """

    @wraps(judge)
    def judged(measured: Runs) -> Verdict:
        verdict = judge([run for run in measured if gain(run) >= LEAST_GAIN])
        return left_out(verdict, [run for run in measured if not gain(run) >= LEAST_GAIN], NO_GAIN)

    return judged


def left_out(verdict: Verdict, runs: Iterable[OfAPair], why: str) -> Verdict:
    """Return a verdict whose reason names the pairs and seeds that it leaves out, and why."""
    names: dict[str, list[int]] = {}
    for run in runs:
        names.setdefault(pair_name(run), []).append(run.seed)
    if not names:
        return verdict
    text = ", ".join(f"{name} (seed {', '.join(map(str, sorted(set(own))))})" for name, own in names.items())
    return replace(verdict, reason=f"{verdict.reason}; left out, {why}: {text}")


def at_most_direction(verdict: Verdict, why: str) -> Verdict:
    """Return a verdict that is `holds in direction` at best, with the reason why."""
    status = Status.HOLDS_IN_DIRECTION if verdict.status is Status.HOLDS else verdict.status
    return replace(verdict, status=status, reason=f"{verdict.reason}; {why}")


def gain(run: CompareAtEqualBytes | CompareWithLora) -> float:
    """Return by how much the fine-tune answers more than its base; 0 where nobody can tell."""
    if run.base_accuracy is None or run.finetuned_accuracy is None:
        return 0.0
    return run.finetuned_accuracy - run.base_accuracy


def points(runs: Runs) -> dict[int, tuple[float, float, float]]:
    """Return by seed the lead over BitDelta in points, with the ends of its interval."""
    method, found = bitdelta_of(runs), {}
    for run in runs:
        if method in run.lead:
            of_all = 100 * gain(run)
            found[run.seed] = tuple(of_all * ends[method] for ends in (run.lead, run.lead_low, run.lead_high))
    return found


def of_points(leads: Mapping[int, tuple[float, float, float]], what: str) -> Estimate:
    """Return the mean of leads by seed; of a single seed, with its own interval."""
    if len(leads) > 1:
        return saying(over_seeds([lead for lead, _, _ in leads.values()]), what)
    [(lead, low, high)] = leads.values()
    return Estimate(lead, (low, high), f"{what}, one seed, bootstrap over items")


def difference(
    first: Mapping[int, tuple[float, float, float]],
    other: Mapping[int, tuple[float, float, float]],
    seeds: Sequence[int],
    what: str,
) -> Estimate:
    """Return how much larger the first leads are; of one seed, with the intervals of two independent sets of items."""
    if len(seeds) > 1:
        return saying(over_seeds([first[seed][0] - other[seed][0] for seed in seeds]), what)
    (a, a_low, a_high), (b, b_low, b_high) = first[seeds[0]], other[seeds[0]]
    below_by = ((a - a_low) ** 2 + (b_high - b) ** 2) ** 0.5
    above_by = ((a_high - a) ** 2 + (b - b_low) ** 2) ** 0.5
    return Estimate(a - b, (a - b - below_by, a - b + above_by), f"{what}, one seed, bootstrap over items")


def estimate(
    values: Sequence[float], runs: Sequence[CompareAtEqualBytes | CompareWithLora], ends: tuple = (None, None)
) -> Estimate:
    """Return the mean over seeds; of a single one, its own bootstrap interval."""
    if len(values) == 1 and None not in ends:
        return Estimate(values[0], ends, f"one seed, bootstrap over {runs[0].items} items")
    return over_seeds(values)


def saying(found: Estimate, what: str) -> Estimate:
    """Return an estimate whose basis says what it is of."""
    return replace(found, basis=f"{what}, {found.basis}")


def bitdelta_of(runs: Iterable[CompareAtEqualBytes]) -> str:
    """Return BitDelta with distilled scales where every run has it, else without."""
    return TRAINED_BITDELTA if all(TRAINED_BITDELTA in run.recovery for run in runs) else BITDELTA


def has(runs: Runs, method: str) -> bool:
    """Tell whether ours was held against a method in any run."""
    return any(method in run.lead for run in runs)


def at_ratio(measured: Sequence, ratio: float = _RATIO) -> list:
    """Return the runs of one ratio."""
    return [run for run in measured if abs(run.ratio - ratio) < 1e-6]


def by_pair(measured: Runs) -> dict[str, list[CompareAtEqualBytes]]:
    """Return the runs at 1/16 by base, task and regime, each in the order of seeds."""
    return grouped(at_ratio(measured), pair_name)


def pair_name(run: OfAPair) -> str:
    """Return what tells pairs (and budgets) apart, whatever their seed; a base that is not known is the model."""
    like = getattr(run, "like", "")
    words = (run.base or run.model, getattr(run, "task", ""), run.regime)
    return " ".join(word for word in words if word) + (f" in the bytes of {like}" if like else "")


def grouped(measured: Iterable, name: Callable) -> dict[str, list]:
    """Return runs by a name, each group in the order of seeds."""
    found: dict[str, list] = {}
    for run in sorted(measured, key=lambda run: (name(run), run.seed)):
        found.setdefault(name(run), []).append(run)
    return found


def all_or_needs(verdicts: dict[str, Verdict], needs: str) -> Verdict:
    """Return the worst verdict, each by its name; without any, what is needed.

    Names begin with a base. Where there are several, the reason begins with the worst verdict on each: what a wide
    model shows is not to be lost behind what a tiny one does.
    """
    if not verdicts:
        return not_measured(f"needs {needs}")
    by_base: dict[str, dict[str, Verdict]] = {}
    for name, verdict in verdicts.items():
        by_base.setdefault(name.split(maxsplit=1)[0].rstrip(","), {})[name] = verdict
    found = all_of(**verdicts)
    if len(by_base) == 1:
        return found
    worst = ", ".join(f"{'tiny ' * (base in SHAPES)}{base} {all_of(**own).status}" for base, own in by_base.items())
    return replace(found, reason=f"{worst}. {found.reason}")
