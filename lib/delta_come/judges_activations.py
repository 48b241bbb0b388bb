"""Verdict on errors of activations, C8: in the claimed order in every third, for all columns and for outliers."""

from lib.delta_come.judging import LOW_RANK, Runs, all_or_needs, bitdelta_of, by_pair, saying
from lib.ledger import Status, Verdict, below, over_seeds

_WORST_LAST = (Status.HOLDS, Status.INCONCLUSIVE, Status.FAILS)


def activations_in_order(measured: Runs) -> Verdict:
    """Judge C8: error of three precisions < of one < of BitDelta and of low rank, at every place."""
    verdicts = {}
    for pair, runs in by_pair(measured).items():
        own = [run for run in runs if run.activation]
        for name, smaller, larger in _orders(own):
            verdict = _worst_place(own, smaller, larger)
            if verdict:
                verdicts[f"{pair}, {name}"] = verdict
    return all_or_needs(verdicts, "errors of activations of several methods")


def _orders(runs: Runs) -> list[tuple[str, str, str]]:
    """Return what is to be smaller than what: a name, the smaller method, the larger one.

    One precision is stored as the judged three are: otherwise storage would be compared, and not precisions.
    """
    if not runs:
        return []
    three, bitdelta = runs[0].ours, bitdelta_of(runs)
    one = "gptq3_folded" if three.endswith("_folded") else "gptq3"
    return [
        ("three precisions over one", three, one),
        ("one precision over BitDelta", one, bitdelta),
        ("one precision over low rank", one, LOW_RANK),
    ]


def _worst_place(runs: Runs, smaller: str, larger: str) -> Verdict | None:
    """Judge the ratio of two methods' errors at every place; the worst verdict, then the highest end, is told."""
    places: dict[str, list[float]] = {}
    for run in runs:
        for key, error in run.activation.items():
            method, _, place = key.partition(" ")
            other = run.activation.get(f"{larger} {place}")
            if method == smaller and other:
                places.setdefault(place, []).append(error / other)
    verdicts = [
        below(saying(over_seeds(ratios), f"ratio of errors, worst of {len(places)} places ({place})"), 1)
        for place, ratios in places.items()
    ]
    return max(verdicts, key=_badness, default=None)


def _badness(verdict: Verdict) -> tuple[int, float]:
    return _WORST_LAST.index(verdict.status), (verdict.interval or (verdict.measured, verdict.measured))[1]
