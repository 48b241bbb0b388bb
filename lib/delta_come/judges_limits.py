"""Verdicts on how far a compressed fine-tune goes: against a LoRA, in fewer bytes, on a 4-bit base: C10 to C12.

Pairs, intervals and what is left out are as in `lib.delta_come.judges_quality`. What counts as holding was fixed before
anything was measured:

    C10      higher R than the LoRA; with the base's embeddings too, else it holds in direction
    C11      at 1/20 less than 0.05 below R at 1/16; higher R at 1/32 than low rank and BitDelta at 1/16
    C12      a 4-bit base adds less than 0.05 to the drop in R, on pairs of which at least half is recovered: what the
             compressed delta has lost already, a base can't cost any more

and more was asked for after a review, when part of the records had been made and some of them seen:

    C10      a LoRA whose learning rate is the least or largest of those tried might have been better with another: that
             it loses is the direction only. That it wins needs no better rate
    C10, C11 where R cannot decide (`lib.delta_come.leads`), it is inconclusive
    C11      at 1/20, only where at least half is recovered at 1/16, for what is lost already cannot decay; at 1/32, a
             lead counts only there too, but to be behind counts everywhere
    C12      only where the exact delta on the 4-bit base recovers at least half: a base that has lost the skill itself
             shows nothing
"""

import math
from collections.abc import Sequence
from dataclasses import replace

from lib.delta_come.judging import (
    LOW_RANK,
    Runs,
    all_or_needs,
    at_most_direction,
    at_ratio,
    bitdelta_of,
    by_pair,
    estimate,
    grouped,
    left_out,
    pair_name,
    saying,
    where_gained,
)
from lib.delta_come.leads import ahead_or_tied
from lib.delta_come.metrics import CompareAtEqualBytes, CompareWithLora
from lib.ledger import Status, Verdict, all_of, below, not_measured

_FINE = 0.05  # of R
_ENOUGH_TO_LOSE = 0.5  # R on the base as it is
_SAME = 1e-4  # of a rate: keys have six digits


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
    verdicts, lost = {}, []
    for pair, runs in by_pair(measured).items():
        enough = [run for run in runs if _has_enough(run)]
        little = [run for run in runs if not _has_enough(run)]
        verdicts |= _at_20(enough, pair) | _at_32(enough, pair)
        behind = {name: each for name, each in _at_32(little, pair).items() if each.status is Status.FAILS}
        verdicts |= {f"{name}, less than half recovered at 1/16": each for name, each in behind.items()}
        lost += [run for run in little if run.late_lead or _drop_at_20(run) is not None]
    return left_out(
        all_or_needs(verdicts, "pairs of which half or more is recovered at 1/16, at 1/20 and 1/32 too"),
        lost,
        "but for what is behind at 1/32, as less than half is recovered at 1/16",
    )


@where_gained
def keeps_on_4_bits(measured: Runs) -> Verdict:
    """Judge C12: a base on 4 bits adds less than 0.05 to what compression costs in R."""
    verdicts, lost, broken = {}, [], []
    for pair, runs in by_pair(measured).items():
        on_both = [run for run in runs if run.extra_drop is not None]
        lost += [run for run in on_both if not _has_enough(run)]
        broken += [run for run in on_both if _has_enough(run) and not _keeps_the_skill(run)]
        own = [run for run in on_both if _has_enough(run) and _keeps_the_skill(run)]
        if own:
            ends = own[0].extra_drop_low, own[0].extra_drop_high
            verdicts[pair] = below(estimate([run.extra_drop for run in own], own, ends), _FINE)
    found = all_or_needs(verdicts, "deltas of which half or more is recovered, on a base of 4 bits too")
    found = left_out(found, lost, "less than half recovered already on the base as it is")
    return left_out(found, broken, "less than half left of the exact delta on the 4-bit base")


def _against_lora(runs: Sequence[CompareWithLora]) -> Verdict:
    whole, shared = _lead_over_lora(runs, runs[0].ours), f"{runs[0].ours}_shared"
    if not all(shared in run.lead for run in runs):
        found = all_of(as_the_paper=whole, shared_embeddings=not_measured("no run has it"))
    else:
        strict = _lead_over_lora(runs, shared)
        if whole.status is not Status.HOLDS or strict.status is Status.HOLDS:
            found = replace(whole, reason=f"{whole.reason}; with the base's embeddings {strict.reason}")
        else:
            found = at_most_direction(whole, f"but with the base's embeddings, as a LoRA has them, {strict.reason}")
    edges = [f"{run.learning_rate:g} (seed {run.seed})" for run in runs if _is_edge(run)]
    if not edges:
        return found
    return at_most_direction(found, f"the LoRA's learning rate is an edge of those tried: {', '.join(edges)}")


def _lead_over_lora(runs: Sequence[CompareWithLora], method: str) -> Verdict:
    own = [run.recovery for run in runs if {method, "lora"} <= run.recovery.keys()]
    lead = estimate([run.lead[method] for run in runs], runs, (runs[0].lead_low[method], runs[0].lead_high[method]))
    return ahead_or_tied(saying(lead, "ahead in R"), [R[method] for R in own], [R["lora"] for R in own])


def _is_edge(run: CompareWithLora) -> bool:
    """Tell whether no lower or no higher rate was tried than the one that was taken."""
    rates = [float(rate) for rate in run.rates] or [run.learning_rate]
    return any(math.isclose(run.learning_rate, edge, rel_tol=_SAME) for edge in (min(rates), max(rates)))


def _has_enough(run: CompareAtEqualBytes) -> bool:
    return run.recovery[run.ours] >= _ENOUGH_TO_LOSE


def _keeps_the_skill(run: CompareAtEqualBytes) -> bool:
    """Tell whether half or more is left of the exact delta on the 4-bit base; older records don't say."""
    return run.exact_on_4_bits is None or run.exact_on_4_bits >= _ENOUGH_TO_LOSE


def _drop_at_20(run: CompareAtEqualBytes) -> float | None:
    if run.fine_drop is not None:
        return run.fine_drop
    return run.recovery[run.ours] - run.curve_recovery["1/20"] if "1/20" in run.curve_recovery else None


def _at_20(runs: Runs, pair: str) -> dict[str, Verdict]:
    own = [run for run in runs if _drop_at_20(run) is not None]
    if not own:
        return {}
    drop = estimate([_drop_at_20(run) for run in own], own, (own[0].fine_drop_low, own[0].fine_drop_high))
    return {f"{pair}, at 1/20": below(saying(drop, "R at 1/16 minus R at 1/20"), _FINE)}


def _at_32(runs: Runs, pair: str) -> dict[str, Verdict]:
    verdicts = {}
    for name, method in {"low rank": LOW_RANK, "BitDelta": bitdelta_of(runs)}.items():
        own = [run for run in runs if method in run.late_lead]
        if own:
            ends = own[0].late_lead_low[method], own[0].late_lead_high[method]
            late = estimate([run.late_lead[method] for run in own], own, ends)
            known = [run for run in own if "1/32" in run.curve_recovery and method in run.recovery]
            verdicts[f"{pair}, over {name}"] = ahead_or_tied(
                saying(late, "R at 1/32 minus R at 1/16"),
                [run.curve_recovery["1/32"] for run in known],
                [run.recovery[method] for run in known],
            )
    return verdicts
