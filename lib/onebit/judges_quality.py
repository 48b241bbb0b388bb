"""Verdicts on what a trained OneBit model is worth: C7 to C10, C18, C19, from runs over teachers and seeds.

Every judge takes what there is. A claim about any model is judged on each teacher by itself, and the worst decides;
intervals are over seeds. Of a teacher that was distilled with several budgets, the largest counts. A training that
diverged is a loss: OneBit's fails a claim, a baseline's alone is a win over that baseline.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise

from lib.ledger import Estimate, Status, Verdict, above, all_of, below, exact, not_measured, over_seeds
from lib.onebit.metrics import CompareAtEqualBits
from lib.onebit.paired_items import Answers, with_shared_questions

Runs = Sequence[CompareAtEqualBits]

ONEBIT = "onebit"
# The paper's three baselines without groups. OmniQuant learns where to clip; the clipped grid stands for it.
TWO_BITS = {"RTN": "rtn2", "GPTQ": "gptq2", "clipped_RTN": "rtn2_fitted", "QAT": "qat2"}
_PAPERS_SIZE = 0.22  # of a dense model of the same perplexity (Fig. 4)
_TINY = 10**9  # tokens; a model trained on fewer has learned so little that a share of them means nothing


def beats_two_bits(measured: Runs) -> Verdict:
    """Judge C7: perplexity below that of 2-bit baselines of the same teacher, the trained one with the same budget."""
    verdicts = {}
    for teacher, runs in _by_teacher(measured).items():
        for name, baseline in TWO_BITS.items():
            verdict = _against(runs, baseline)
            if verdict is not None:
                verdicts[f"{teacher}_against_{name}"] = verdict
    return _all(verdicts, "a OneBit student beside a 2-bit baseline")


def keeps_accuracy(measured: Runs) -> Verdict:
    """Judge C8: at least 81 % of the teacher's accuracy, on next tokens and on continuations, in percent.

    Next tokens are tens of thousands. Continuations are few, and the same in every seed: their own error is added.
    """
    verdicts = {}
    for teacher, runs in _by_teacher(measured).items():
        if lost := _lost(runs):
            verdicts[teacher] = lost
            continue
        shares = [100 * ratio for ratio in _ratios(runs, lambda run: run.accuracy, ONEBIT, "teacher")]
        if shares:
            verdicts[f"{teacher}, next token"] = above(_estimate(shares, runs, "% of the teacher's accuracy"), 81)
        answers = [_answers(run) for run in runs if {ONEBIT, "teacher"} <= run.choice_accuracy.keys()]
        if answers:
            estimate = _estimate([100 * each.kept for each in answers], runs, "% of the teacher's accuracy")
            verdicts[f"{teacher}, continuation"] = above(with_shared_questions(estimate, answers, 100), 81)
    return _all(verdicts, "a OneBit student and its teacher")


def keeps_perplexity(measured: Runs) -> Verdict:
    """Judge C9: at most 1.8 times the teacher's perplexity."""
    verdicts = {}
    for teacher, runs in _by_teacher(measured).items():
        ratios = _ratios(runs, lambda run: run.perplexity, ONEBIT, "teacher")
        if lost := _lost(runs):
            verdicts[teacher] = lost
        elif ratios:
            verdicts[teacher] = below(_estimate(ratios, runs, "perplexity over the teacher's"), 1.8)
    return _all(verdicts, "a OneBit student and its teacher")


def gap_narrows(measured: Runs) -> Verdict:
    """Judge C10: from each teacher to the next larger one, the gap in perplexity shrinks; seeds are paired."""
    at_one_budget = _at_one_budget(measured)
    if lost := [verdict for runs in at_one_budget.values() if (verdict := _lost(runs))]:
        return lost[0]
    by_teacher = {teacher: _gaps(runs) for teacher, runs in at_one_budget.items()}
    by_teacher = {teacher: gaps for teacher, gaps in by_teacher.items() if gaps}
    if len(by_teacher) < 3:
        there = ", ".join(by_teacher) or "none"
        return not_measured(f"needs trained students of three sizes with one budget; there are: {there}")
    verdicts = {}
    for (small, before), (large, after) in pairwise(by_teacher.items()):
        common = sorted(before.keys() & after.keys())
        if common:
            estimate = over_seeds([before[seed] - after[seed] for seed in common])
            sizes = f"the gap goes from {_mean(before):.4g} to {_mean(after):.4g} perplexity"
            verdicts[f"{small}_to_{large}"] = above(replace(estimate, basis=f"{sizes}, {estimate.basis}"), 0)
    return _all(verdicts, "trained students of three sizes with the same seeds")


def size_for_quality(measured: Runs) -> Verdict:
    """Judge C18: bytes of the student over those of a dense model of equal perplexity, 0.22 in the paper.

    The dense model's bytes are read off the run's dense models and teacher, log bytes linear in log perplexity. A
    student that is worse than all of them has at least its bytes over the smallest's, a bound by which the claim can
    fail and not hold; better than all, at most its bytes over the largest's.
    """
    verdicts = {}
    for teacher, runs in _by_teacher(measured).items():
        own = [run for run in runs if ONEBIT in run.perplexity and run.dense_bytes]
        if lost := _lost(runs):
            verdicts[teacher] = lost
        elif own:
            estimate = over_seeds([equal_quality_size(run) for run in own])
            worse = sum(run.perplexity[ONEBIT] > max(run.dense_perplexity.values()) for run in own)
            note = f", {worse} of {len(own)} worse than the smallest dense model" if worse else ""
            basis = f"bytes over those of a dense model of equal perplexity, {estimate.basis}{note}"
            estimate = replace(estimate, basis=basis)
            verdicts[teacher] = _by_bound(estimate) if worse else below(estimate, _PAPERS_SIZE, no_effect=1)
    return _all(verdicts, "a OneBit student and smaller dense models of the same text")


def equal_quality_size(run: CompareAtEqualBits, method: str = ONEBIT) -> float:
    """Return a student's bytes over those of a dense model of its perplexity, read off the run's dense models."""
    ladder = sorted(
        [(run.dense_perplexity[name], size) for name, size in run.dense_bytes.items()]
        + [(run.perplexity["teacher"], run.bytes["teacher"])]
    )
    logs = [(math.log(perplexity), math.log(size)) for perplexity, size in ladder]
    return run.bytes[method] / math.exp(_interpolated(math.log(run.perplexity[method]), logs))


def cost(measured: Runs) -> Verdict:
    """Judge C19: tokens of distillation below 2 % of those of pre-training; a tiny teacher's share is only reported."""
    known = [run for run in measured if run.teacher_tokens and ONEBIT in run.perplexity]
    if not known:
        return not_measured("needs trained students and the number of tokens of their teacher's training")
    share = max(100 * run.tokens / run.teacher_tokens for run in known)
    pretrained = max(run.teacher_tokens for run in known)
    if pretrained < _TINY:
        return not_measured(
            f"{share:.2g} % of the tokens, but of a teacher that saw {pretrained / 1e6:.3g} M in all: both numbers are "
            "this repository's choice, so their ratio says nothing about a model trained to the end"
        )
    return below(exact(share, "tokens of distillation in % of those of pre-training, the largest"), 2)


def _against(runs: Runs, baseline: str) -> Verdict | None:
    """Return the verdict on OneBit's perplexity over a baseline's, None where they did not meet."""
    met = [run for run in runs if all(name in run.perplexity or name in run.diverged for name in (ONEBIT, baseline))]
    if not met:
        return None
    lost, others = (sum(name in run.diverged for run in met) for name in (ONEBIT, baseline))
    ratios = _ratios(met, lambda run: run.perplexity, ONEBIT, baseline)
    count = f"OneBit's training diverged in {lost} of {len(met)} runs, the baseline's in {others}"
    if lost > others or (others > lost and not ratios):
        return Verdict(Status.FAILS if lost > others else Status.HOLDS, count, float(lost))
    if not ratios:
        return not_measured(f"{count}, and no run has both to the end")
    return below(_estimate(ratios, met, "perplexity over the baseline's"), 1)


def _lost(runs: Runs) -> Verdict | None:
    """Return that a claim fails for a teacher of which a OneBit student diverged, None if none did."""
    lost = sum(ONEBIT in run.diverged for run in runs)
    if not lost:
        return None
    reason = f"OneBit's training diverged in {lost} of {len(runs)} runs on {runs[0].teacher}"
    return Verdict(Status.FAILS, reason, float(lost))


def _by_bound(bound: Estimate) -> Verdict:
    """Judge a lower bound of a size: it can lie above the paper's and refute it, and never prove it."""
    verdict = below(bound, _PAPERS_SIZE)
    status = Status.INCONCLUSIVE if verdict.status is Status.HOLDS else verdict.status
    return replace(verdict, status=status, reason=f"only a lower bound is known: {verdict.reason}")


def _answers(run: CompareAtEqualBits) -> Answers:
    shares = run.choice_accuracy
    return Answers(shares[ONEBIT], shares["teacher"], run.right_with_teacher[ONEBIT], run.questions)


def _by_teacher(measured: Runs) -> dict[str, list[CompareAtEqualBits]]:
    """Return the runs of each teacher, from the smallest up, each with its largest budget."""
    found: dict[str, list[CompareAtEqualBits]] = {}
    for run in sorted(measured, key=lambda run: run.teacher_parameters):
        found.setdefault(run.teacher, []).append(run)
    return {
        teacher: [run for run in runs if run.tokens == max(each.tokens for each in runs)]
        for teacher, runs in found.items()
    }


def _at_one_budget(measured: Runs) -> dict[str, list[CompareAtEqualBits]]:
    """Return the runs of the budget that most teachers share, the largest of those."""
    budgets = {run.tokens for run in measured}
    best = max(budgets, key=lambda tokens: (len({run.teacher for run in measured if run.tokens == tokens}), tokens))
    return _by_teacher([run for run in measured if run.tokens == best])


def _ratios(
    runs: Runs, of: Callable[[CompareAtEqualBits], dict[str, float]], method: str, reference: str
) -> list[float]:
    return [of(run)[method] / of(run)[reference] for run in runs if method in of(run) and reference in of(run)]


def _gaps(runs: Runs) -> dict[int, float]:
    return {run.seed: run.perplexity[ONEBIT] - run.perplexity["teacher"] for run in runs if ONEBIT in run.perplexity}


def _estimate(values: Sequence[float], runs: Runs, what: str) -> Estimate:
    estimate = over_seeds(values)
    return replace(estimate, basis=f"{what}, {estimate.basis}, {runs[0].tokens / 1e6:.3g} M tokens")


def _all(verdicts: dict[str, Verdict], needs: str) -> Verdict:
    return all_of(**verdicts) if verdicts else not_measured(f"needs {needs}")


def _interpolated(x: float, points: Sequence[tuple[float, float]]) -> float:
    """Return y at x on the line through points sorted by x; at the ends, the end's own y."""
    if x <= points[0][0]:
        return points[0][1]
    for (x0, y0), (x1, y1) in pairwise(points):
        if x <= x1:
            return y0 + (y1 - y0) * (x - x0) / (x1 - x0)
    return points[-1][1]


def _mean(gaps: dict[int, float]) -> float:
    return sum(gaps.values()) / len(gaps)
