"""Verdicts on what compressed fine-tunes are worth at equal bytes: C2 to C5, C8 to C12.

A claim about any pair is judged on each pair (base, task and regime) by itself, and the worst decides. Intervals are
over seeds; of a single seed, the bootstrap over its items. Claims about 1/16 look at runs of that ratio only. A pair
whose fine-tune is hardly better than its base has no gain to recover: it is left out of all claims about R, by name.

What counts as holding was fixed before anything was measured:

    C2       R >= 0.95, and KL at most 10 % of the base's
    C3, C4   higher R and lower KL on every pair; on tasks with a right result the intervals exclude 0
    C5       the lead over BitDelta in points is larger on every such task than on every task of form
    C8       errors of activations in the claimed order in every third, for all columns and for outliers
    C9       C3 and C4 on at least three bases
    C10      higher R than the LoRA; with the base's embeddings too, else it holds in direction
    C11      at 1/20 less than 0.05 below R at 1/16; higher R at 1/32 than low rank and BitDelta at 1/16
    C12      a 4-bit base adds less than 0.05 to the drop in R, on pairs of which at least half is recovered: what the
             compressed delta has lost already, a base can't cost any more
"""

from collections.abc import Sequence
from dataclasses import replace

from lib.delta_come.judging import (
    BITDELTA,
    LOW_RANK,
    TRAINED_BITDELTA,
    Runs,
    all_or_needs,
    at_ratio,
    bitdelta_of,
    by_pair,
    difference,
    estimate,
    grouped,
    has,
    pair_name,
    points,
    saying,
    where_gained,
)
from lib.delta_come.metrics import CompareWithLora
from lib.ledger import Status, Verdict, above, all_of, below, not_measured, over_seeds

_NEEDS = "compressed fine-tunes at 1/16"
_FINE = 0.05  # of R
_ENOUGH_TO_LOSE = 0.5  # R on the base as it is


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
    """Judge C5: the lead over BitDelta, in points, on tasks with a right result minus that on tasks of form."""
    verdicts = {}
    groups = grouped(at_ratio(measured), lambda run: f"{run.base} {run.regime}")
    for group, runs in groups.items():
        leads = {task: points(own) for task, own in grouped(runs, lambda run: run.task).items()}
        form = {run.task for run in runs if run.style}
        for hard in sorted(leads.keys() - form):
            for easy in sorted(form):
                seeds = sorted(leads[hard].keys() & leads[easy].keys())
                if seeds:
                    verdicts[f"{group}, {hard} against {easy}"] = above(
                        difference(leads[hard], leads[easy], seeds, "points of lead more"), 0
                    )
    return all_or_needs(
        verdicts, "the lead over BitDelta on a task with a right result and on one of form, same base and seed"
    )


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


@where_gained
def on_other_bases(measured: Runs) -> Verdict:
    """Judge C9: ahead of low rank and of BitDelta on at least three bases, on tasks with a right result."""
    hard = [run for run in at_ratio(measured) if not run.style]
    by_base = grouped(hard, lambda run: run.base)
    if len(by_base) < 3:
        return not_measured(f"needs three bases; there are: {', '.join(by_base) or 'none'}")
    verdicts = {}
    for base, runs in by_base.items():
        both = {"low_rank": beats_low_rank(runs), "BitDelta": beats_bitdelta(runs)}
        verdicts[base] = all_of(**both)
    return all_of(**verdicts)


@where_gained
def beats_lora(measured: Sequence[CompareWithLora]) -> Verdict:
    """Judge C10: the compressed fine-tune recovers more than a LoRA of the same bytes and data."""
    verdicts = {}
    for pair, runs in grouped(at_ratio(measured), pair_name).items():
        own = [run for run in runs if run.ours in run.lead]
        if own:
            verdicts[pair] = _against_lora(own)
    return all_or_needs(verdicts, "LoRAs beside compressed fine-tunes at 1/16")


@where_gained
def decays_slowly(measured: Runs) -> Verdict:
    """Judge C11: hardly less at 1/20 than at 1/16, and at 1/32 still ahead of low rank and of BitDelta at 1/16."""
    verdicts = {}
    for pair, runs in by_pair(measured).items():
        fine = [run.recovery[run.ours] - run.curve_recovery["1/20"] for run in runs if "1/20" in run.curve_recovery]
        if fine:
            verdicts[f"{pair}, at 1/20"] = below(saying(over_seeds(fine), "R at 1/16 minus R at 1/20"), _FINE)
        for name, method in {"low rank": LOW_RANK, "BitDelta": bitdelta_of(runs)}.items():
            own = [run for run in runs if method in run.late_lead]
            if own:
                ends = own[0].late_lead_low[method], own[0].late_lead_high[method]
                late = estimate([run.late_lead[method] for run in own], own, ends)
                verdicts[f"{pair}, over {name}"] = above(saying(late, "R at 1/32 minus R at 1/16"), 0)
    return all_or_needs(verdicts, "the same pairs at 1/32")


@where_gained
def keeps_on_4_bits(measured: Runs) -> Verdict:
    """Judge C12: a base on 4 bits adds less than 0.05 to what compression costs in R."""
    verdicts = {}
    for pair, runs in by_pair(measured).items():
        own = [run for run in runs if run.extra_drop is not None and run.recovery[run.ours] >= _ENOUGH_TO_LOSE]
        if own:
            ends = own[0].extra_drop_low, own[0].extra_drop_high
            verdicts[pair] = below(estimate([run.extra_drop for run in own], own, ends), 0.05)
    return all_or_needs(verdicts, "deltas of which half or more is recovered, on a base of 4 bits too")


def _ahead(runs: Runs, method: str) -> Verdict:
    """Judge that ours is ahead of a method in R and in KL; where form is asked for, intervals do not count."""
    own = [run for run in runs if method in run.lead]
    if not own:
        return not_measured(f"needs {method}")
    first = own[0]
    R = estimate([run.lead[method] for run in own], own, (first.lead_low[method], first.lead_high[method]))
    KL = estimate([run.kl_lead[method] for run in own], own, (first.kl_lead_low[method], first.kl_lead_high[method]))
    if not first.style:
        return all_of(R=above(saying(R, "ahead in R"), 0), KL=above(saying(KL, "nats less"), 0))
    status = Status.HOLDS if R.value >= 0 else Status.FAILS  # both may have recovered everything
    tie = Verdict(status, f"{R.value:.4g} ahead in R ({R.basis})", R.value, R.interval)
    return all_of(R=tie, KL=above(replace(saying(KL, "nats less"), interval=None), 0))


def _against_lora(runs: Sequence[CompareWithLora]) -> Verdict:
    first = runs[0]
    ends = first.lead_low[first.ours], first.lead_high[first.ours]
    whole = above(saying(estimate([run.lead[run.ours] for run in runs], runs, ends), "ahead in R"), 0)
    shared = f"{first.ours}_shared"
    if not all(shared in run.lead for run in runs):
        return all_of(as_the_paper=whole, shared_embeddings=not_measured("no run has it"))
    ends = first.lead_low[shared], first.lead_high[shared]
    strict = above(saying(estimate([run.lead[shared] for run in runs], runs, ends), "ahead in R"), 0)
    if whole.status is not Status.HOLDS or strict.status is Status.HOLDS:
        return replace(whole, reason=f"{whole.reason}; with the base's embeddings {strict.reason}")
    reason = f"{whole.reason}; but with the base's embeddings, as a LoRA has them, {strict.reason}"
    return replace(whole, status=Status.HOLDS_IN_DIRECTION, reason=reason)


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
    """Judge the ratio of two methods' errors where it is largest."""
    places: dict[str, list[float]] = {}
    for run in runs:
        for key, error in run.activation.items():
            method, _, place = key.partition(" ")
            other = run.activation.get(f"{larger} {place}")
            if method == smaller and other:
                places.setdefault(place, []).append(error / other)
    if not places:
        return None
    estimates = {place: over_seeds(ratios) for place, ratios in places.items()}
    worst = max(estimates, key=lambda place: estimates[place].value)
    return below(saying(estimates[worst], f"ratio of errors, largest of {len(places)} places ({worst})"), 1)
