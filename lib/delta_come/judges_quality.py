"""Verdicts on what compressed fine-tunes are worth at equal bytes: C2 to C5, and C9.

A claim about any pair is judged on each pair (base, task and regime) by itself, and the worst decides. Intervals are
over seeds; of a single seed, the bootstrap over its items. Claims about 1/16 look at runs of that ratio only. A pair
whose fine-tune is hardly better than its base has no gain to recover: it is left out of all claims about R, by name.

What counts as holding was fixed before anything was measured:

    C2       R >= 0.95, and KL at most 10 % of the base's
    C3, C4   higher R and lower KL on every pair; on tasks with a right result the intervals exclude 0
    C5       the lead over BitDelta in points is larger on every such task than on every task of form

and more was asked for after a review, when part of the records had been made and some of them seen:

    C3, C4   where R cannot decide (`lib.delta_come.leads`), the KL does, and the pair holds in direction at best
    C5       the lead on the task with a right result is itself above 0; and that on the task of form is shown to be
             within 3 points of 0, else it holds in direction. The paper's lead on chat is 0.5 points
    C9       C3 and C4 on at least two bases other than the two on which all else is measured. Before, those counted
             among three bases
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from lib.delta_come.judging import (
    BITDELTA,
    LOW_RANK,
    TRAINED_BITDELTA,
    Runs,
    all_or_needs,
    at_most_direction,
    at_ratio,
    bitdelta_of,
    by_pair,
    difference,
    estimate,
    grouped,
    has,
    of_points,
    points,
    saying,
    where_gained,
)
from lib.delta_come.leads import ahead, ahead_or_tied, tie
from lib.ledger import Estimate, Status, Verdict, above, agrees, all_of, below, not_measured

_NEEDS = "compressed fine-tunes at 1/16"
_NIL = 3.0  # points
_REFERENCES = ("llama", "smollm2-135m-instruct")  # bases of all other claims


@where_gained
def close_to_finetune(measured: Runs) -> Verdict:
    """Judge C2: R at least 0.95 and KL at most a tenth of the base's, of 8+3+2 at 1/16."""
    verdicts = {}
    for pair, runs in by_pair(measured).items():
        own = [run for run in runs if run.ours in run.recovery]
        if own:
            ends = own[0].recovery_low.get(own[0].ours), own[0].recovery_high.get(own[0].ours)
            R = estimate([run.recovery[run.ours] for run in own], own, ends)
            shares = estimate([100 * run.kl[run.ours] / run.base_kl for run in own], own)
            verdicts[pair] = all_of(R=above(R, 0.95), KL_in_percent_of_the_base=below(shares, 10))
    return all_or_needs(verdicts, _NEEDS)


@where_gained
def beats_low_rank(measured: Runs) -> Verdict:
    """Judge C3: ahead of fp16 low rank in the same bytes on every pair."""
    verdicts = {pair: _ahead(runs, LOW_RANK) for pair, runs in by_pair(measured).items() if has(runs, LOW_RANK)}
    return all_or_needs(verdicts, _NEEDS + " beside fp16 low rank")


@where_gained
def beats_bitdelta(measured: Runs) -> Verdict:
    """Judge C4: ahead of BitDelta in the same bytes on every pair, with and without distilled scales."""
    verdicts = {}
    for pair, runs in by_pair(measured).items():
        if not (has(runs, BITDELTA) or has(runs, TRAINED_BITDELTA)):
            continue
        verdicts[pair] = all_of(with_distilled_scales=_ahead(runs, TRAINED_BITDELTA), without=_ahead(runs, BITDELTA))
    return all_or_needs(verdicts, _NEEDS + " beside BitDelta")


@where_gained
def lead_by_task(measured: Runs) -> Verdict:
    """Judge C5: the lead over BitDelta, in points, on tasks with a right result against that on tasks of form."""
    verdicts = {}
    groups = grouped(at_ratio(measured), lambda run: f"{run.base} {run.regime}")
    for group, runs in groups.items():
        tasks = {task: own for task, own in grouped(runs, lambda run: run.task).items() if has(own, bitdelta_of(own))}
        form = {run.task for run in runs if run.style}
        for hard in sorted(tasks.keys() - form):
            for easy in sorted(tasks.keys() & form):
                verdict = _larger_lead(tasks[hard], tasks[easy])
                if verdict:
                    verdicts[f"{group}, {hard} against {easy}"] = verdict
    return all_or_needs(
        verdicts, "the lead over BitDelta on a task with a right result and on one of form, same base and seed"
    )


@where_gained
def on_other_bases(measured: Runs) -> Verdict:
    """Judge C9: ahead of low rank and of BitDelta on at least two other bases, on tasks with a right result."""
    hard = [run for run in at_ratio(measured) if not run.style and not _is_reference(run.base)]
    by_base = grouped(hard, lambda run: run.base)
    if len(by_base) < 2:
        return not_measured(
            f"needs two bases other than {' and '.join(_REFERENCES)}; there are: {', '.join(by_base) or 'none'}"
        )
    verdicts = {}
    for base, runs in by_base.items():
        both = {"low_rank": beats_low_rank(runs), "BitDelta": beats_bitdelta(runs)}
        verdicts[base] = all_of(**both)
    return all_of(**verdicts)


def _ahead(runs: Runs, method: str) -> Verdict:
    """Judge that ours is ahead of a method in R and in KL; where form is asked for, intervals do not count."""
    own = [run for run in runs if method in run.lead]
    if not own:
        return not_measured(f"needs {method}")
    first = own[0]
    R = estimate([run.lead[method] for run in own], own, (first.lead_low[method], first.lead_high[method]))
    KL = estimate([run.kl_lead[method] for run in own], own, (first.kl_lead_low[method], first.kl_lead_high[method]))
    R, KL = saying(R, "ahead in R"), saying(KL, "nats less")
    undecided = tie(R, *_recoveries(own, method))
    if undecided:
        return at_most_direction(ahead(KL), f"{undecided} ({R.value:.4g} ahead in R, {R.basis}) and KL does")
    if not first.style:
        return all_of(R=ahead(R), KL=ahead(KL))
    status = Status.HOLDS if R.value >= 0 else Status.FAILS
    return all_of(
        R=Verdict(status, f"{R.value:.4g} ({R.basis})", R.value, R.interval), KL=above(replace(KL, interval=None), 0)
    )


def _larger_lead(hard: Runs, easy: Runs) -> Verdict | None:
    """Judge that the lead is above 0 and larger than that on a task of form, which is about nil; None: no one seed."""
    first, other = points(hard), points(easy)
    seeds = sorted(first.keys() & other.keys())
    if not seeds:
        return None
    more = ahead(difference(first, other, seeds, "points of lead more"))
    itself = ahead_or_tied(_mean(first, seeds, "points ahead"), *_recoveries(hard, bitdelta_of(hard)))
    form = agrees(_mean(other, seeds, "points ahead where form is asked for"), 0, _NIL)
    both = all_of(more=more, itself=itself)
    if form.status is Status.HOLDS:
        return replace(both, reason=f"{both.reason}; about nil on form: {form.reason}")
    return at_most_direction(both, f"not shown to be about nil on form: {form.reason}")


def _mean(leads: Mapping[int, tuple[float, float, float]], seeds: Sequence[int], what: str) -> Estimate:
    return of_points({seed: leads[seed] for seed in seeds}, what)


def _recoveries(runs: Runs, method: str) -> tuple[list[float], list[float]]:
    """Return R of ours and of a method, one a seed."""
    own = [run for run in runs if {run.ours, method} <= run.recovery.keys()]
    return [run.recovery[run.ours] for run in own], [run.recovery[method] for run in own]


def _is_reference(base: str) -> bool:
    """Tell whether a base, by any of the names that it goes by, is one of those on which all else is measured."""
    return base.rpartition("/")[2].lower().removeprefix("tiny ") in _REFERENCES
