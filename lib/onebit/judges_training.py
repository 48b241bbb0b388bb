"""From notebook 04's students to verdicts on how OneBit starts, what it learns from, and at what learning rates.

Students are compared within a seed, where they saw the same text in the same order; intervals are over seeds.
"""

from collections.abc import Sequence
from dataclasses import replace
from math import inf
from statistics import median

from lib.ledger import Status, Verdict, above, agrees, all_of, below, exact, not_measured, over_seeds
from lib.onebit.metrics import CompareStartsAndLosses

Runs = Sequence[CompareStartsAndLosses]

_RELEASED = ", released rate"  # the ending of names in lib.onebit.training.variants; a test holds both together
_NO_FASTER = 0.99  # a training loss that is less than 1 % smaller is no faster training
_BITNET = {"paper's form": "BitNet, paper's Eq. 2", "release's form": "BitNet, release"}


def faster_from_nmf(measured: Runs) -> Verdict:
    """Judge the second half of C5: area under the training loss, NMF over SVD, by how SVD shares its scale."""
    runs = _with(measured, "starts")
    return all_of(
        scale_shared_evenly_by_SVD=_faster(runs, "SVID by NMF", "SVID by SVD, balanced"),
        all_of_it_on_one_side=_faster(runs, "SVID by NMF", "SVID by SVD, one-sided"),
        the_same_split_for_both=_faster(runs, "SVID by NMF", "SVID by SVD, NMF's split"),
    )


def best_start(measured: Runs) -> Verdict:
    """Judge C6: SVID against a copy and against random signs, at tuned rates and at the release's."""
    runs = _with(measured, "starts")
    parts = {}
    for rate, ending in {"tuned rates": "", "released rate": _RELEASED}.items():
        svid, copy, coins = (f"{name}{ending}" for name in ("SVID by NMF", "copy", "random signs"))
        parts[f"mean loss over a copy's, {rate}"] = _smaller(runs, "area", svid, copy)
        parts[f"perplexity over a copy's, {rate}"] = _smaller(runs, "perplexity", svid, copy)
        parts[f"perplexity over random signs', {rate}"] = _smaller(runs, "perplexity", svid, coins)
    return all_of(**parts)


def hidden_states_help(measured: Runs) -> Verdict:
    """Judge C11: perplexity with the hidden states over that with logits alone, at two weights."""
    runs = _with(measured, "losses")
    return all_of(
        with_the_release_s_constants=_smaller(runs, "perplexity", "logits + hidden as released", "logits only"),
        with_weight_1_a_token=_smaller(runs, "perplexity", "logits + 1 hidden", "logits only"),
    )


def weight_matters_little(measured: Runs) -> Verdict:
    """Judge C12: perplexity at ten times the weight, within 5 %, no run of either diverging alone.

    The paper's unit of the weight is read in two ways.
    """
    runs = _with(measured, "losses")
    pairs = {
        "ten times the release's constant": ("logits + 10 times that hidden", "logits + hidden as released"),
        "10 against 1 a token": ("logits + 10 hidden", "logits + 1 hidden"),
    }
    return all_of(**{name: _same(runs, *pair) for name, pair in pairs.items()})


def attention_diverges(measured: Runs) -> Verdict:
    """Judge C13: whether training diverges once attention maps are matched; failing that, whether it gets worse.

    Each student is held against one without the maps in the same precision.
    """
    runs = _with(measured, "losses")
    pair = "logits + 1 hidden + attention maps", "logits + 1 hidden"
    return all_of(
        **{precision: _diverges(runs, *(f"{name}, {precision}" for name in pair)) for precision in ("fp32", "bf16")}
    )


def stable_rates(measured: Runs) -> Verdict:
    """Judge C14: fewer diverged runs than BitNet's form; at equal numbers, a smaller spread of the final loss.

    The count comes first: where runs diverged, the spread lacks the worst rates. At equal counts a smaller spread is no
    more than the direction, since instability was not seen, and a form that learns little at any rate has one too; so
    the reason names both forms' best perplexities.
    """
    runs = _with(measured, "rates")
    return all_of(**{f"against the {name}": _steadier(runs, form) for name, form in _BITNET.items()})


def no_overflow(measured: Runs) -> Verdict:
    """Judge C15: overflows without the LayerNorm and none with it; failing overflows, smaller activations with it."""
    normed, bare = "OneBit", "OneBit, no LayerNorm"
    runs = [run for run in _with(measured, "rates") if normed in run.overflows and bare in run.overflows]
    if not runs:
        return _needs("that keep and that drop the LayerNorm")
    inside, outside = (max(run.overflows[form] for run in runs) for form in (normed, bare))
    if inside or outside:
        shares = f"largest share beyond 65,504 with LayerNorm, against {outside:.2g} without, {len(runs)} seeds"
        return agrees(exact(inside, shares), 0, 0)
    ratio = over_seeds([_largest(run, bare) / _largest(run, normed) for run in runs])
    verdict = _no_more_than_direction(above(ratio, 1))
    reason = f"nothing overflows fp16 either way; largest activation without LayerNorm over that with: {verdict.reason}"
    return replace(verdict, reason=reason)


def size_restored(measured: Runs) -> Verdict:
    """Judge C16: outputs half to one and a half times the dense layer's with g and h; without, 1 / mean(|W|) times."""
    runs = [run for run in _with(measured, "rates") if run.size_with_values]
    if not runs:
        return _needs("of several learning rates")
    parts = {}
    for model in runs[0].size_with_values:
        own = [run for run in runs if model in run.size_with_values]
        basis = f"median over the layers of {model}"
        # The claim is about orders of magnitude: within a half, where signs alone are off by five times and more.
        scaled = exact(median(run.size_with_values[model] for run in own), basis)
        bare = exact(median(run.size_without_over_expected[model] for run in own), basis)
        parts[f"output with g and h over the dense layer's, {model}"] = agrees(scaled, 1, 0.5)
        parts[f"by signs alone, over 1 / mean(|W|), {model}"] = agrees(bare, 1, 0.5)
    return all_of(**parts)


def _with(measured: Runs, comparison: str) -> list[CompareStartsAndLosses]:
    return [run for run in measured if comparison in run.comparisons]


def _smaller(runs: Runs, table: str, first: str, second: str) -> Verdict:
    """Return whether a student's number is smaller than another's; one that diverges more often is not better."""
    lost, others = _diverged(runs, first), _diverged(runs, second)
    ratios = _ratios(runs, table, first, second)
    count = f"{first} diverged in {lost} of {len(runs)} runs, {second} in {others}"
    if lost > others or (others > lost and not ratios):
        return Verdict(Status.FAILS if lost > others else Status.HOLDS, count, float(lost))
    if not ratios:
        return not_measured(f"{count}, and no run has both to the end") if lost else _needs(f"{first} and {second}")
    return below(over_seeds(ratios), 1)


def _faster(runs: Runs, first: str, second: str) -> Verdict:
    ratios = _ratios(runs, "area", first, second)
    if not ratios:
        return _needs(f"{first} and {second}")
    estimate = over_seeds(ratios)
    low, high = estimate.interval or (estimate.value, estimate.value)
    # A tie that is known to a percent is no open question.
    return below(estimate, _NO_FASTER, None if low >= _NO_FASTER and high >= 1 else 1.0)


def _same(runs: Runs, first: str, second: str) -> Verdict:
    lost, others = _diverged(runs, first), _diverged(runs, second)
    if lost != others:
        reason = f"{first} diverged in {lost} of {len(runs)} runs, {second} in {others}"
        return Verdict(Status.FAILS, reason, float(lost - others))
    ratios = _ratios(runs, "perplexity", first, second)
    return agrees(over_seeds(ratios), 1, 0.05) if ratios else _needs(f"{first} and {second}")


def _diverges(runs: Runs, name: str, control: str) -> Verdict:
    tried = [run for run in runs if name in run.perplexity or name in run.diverged]
    diverged, without = _diverged(tried, name), _diverged(tried, control)
    if diverged and without >= diverged:
        reason = f"{diverged} of {len(tried)} runs diverged, and {without} without the maps"
        return Verdict(Status.FAILS, reason, float(diverged - without))
    if diverged:
        return above(exact(diverged / len(tried), f"share of {len(tried)} runs that diverged"), 0.5)
    ratios = _ratios(tried, "perplexity", name, control)
    if not ratios:
        return _needs(f"{name} and {control}")
    worse = _no_more_than_direction(above(over_seeds(ratios), 1))
    status = Status.FAILS if worse.status is Status.INCONCLUSIVE else worse.status  # that it did not diverge is certain
    reason = f"none of {len(tried)} runs diverged; perplexity over that without the maps: {worse.reason}"
    return replace(worse, status=status, reason=reason)


def _steadier(runs: Runs, rival: str) -> Verdict:
    runs = [run for run in runs if all(len(_losses(run, form) + _lost(run, form)) > 1 for form in ("OneBit", rival))]
    if not runs:
        return _needs(f"OneBit and {rival}, both at several learning rates")
    lost, others = (sum(len(_lost(run, form)) for run in runs) for form in ("OneBit", rival))
    count = f"{lost} of OneBit's runs diverged, {others} of the other form's; best perplexity {_levels(runs, rival)}"
    if lost != others:
        return Verdict(Status.HOLDS if lost < others else Status.FAILS, count, float(lost - others))
    both = [run for run in runs if all(len(_losses(run, form)) > 1 for form in ("OneBit", rival))]
    if not both:
        return not_measured(f"{count}, and no run of both is left whose losses could be compared")
    spreads = over_seeds([_spread(run, "OneBit") / _spread(run, rival) for run in both])
    verdict = _no_more_than_direction(below(spreads, 1))
    reason = f"{count}; largest over smallest final loss, OneBit's over the other's: {verdict.reason}"
    return replace(verdict, reason=reason)


def _levels(runs: Runs, rival: str) -> str:
    """Return the best perplexity of both forms over all rates: steady is not good."""
    best = (min(_best(run, form) for run in runs) for form in ("OneBit", rival))
    return "{:.4g} against {:.4g}".format(*best)


def _best(run: CompareStartsAndLosses, form: str) -> float:
    return min((value for name, value in run.perplexity.items() if name.startswith(f"{form} at ")), default=inf)


def _no_more_than_direction(verdict: Verdict) -> Verdict:
    """Return a verdict on the direction of a claim whose size was not seen."""
    return replace(verdict, status=Status.HOLDS_IN_DIRECTION) if verdict.status is Status.HOLDS else verdict


def _ratios(runs: Runs, table: str, first: str, second: str) -> list[float]:
    """Return one number over another, a seed each; runs without one of the two are left out."""
    tables = [getattr(run, table) for run in runs]
    return [values[first] / values[second] for values in tables if first in values and second in values]


def _diverged(runs: Runs, name: str) -> int:
    return sum(name in run.diverged for run in runs)


def _losses(run: CompareStartsAndLosses, form: str) -> list[float]:
    return [loss for name, loss in run.final_loss.items() if name.startswith(f"{form} at ")]


def _lost(run: CompareStartsAndLosses, form: str) -> list[float]:
    return [step for name, step in run.diverged.items() if name.startswith(f"{form} at ")]


def _spread(run: CompareStartsAndLosses, form: str) -> float:
    return max(_losses(run, form)) / min(_losses(run, form))


def _largest(run: CompareStartsAndLosses, form: str) -> float:
    return max(value for name, value in run.largest_activation.items() if name.startswith(f"{form}, block "))


def _needs(students: str) -> Verdict:
    return not_measured(f"needs a run of notebook 04 with students {students}")
