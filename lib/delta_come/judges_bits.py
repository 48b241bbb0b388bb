"""Verdicts on how the bits are chosen: C6, C7 and C13, from runs over pairs at equal true bytes.

Each pair (base, task and regime) and way of storing the scales of U is judged by itself, and the worst decides. Ratios
are averaged as logarithms, with an interval over seeds; a single seed has none. A run's best plan of a number of
precisions is chosen on one half of the items and reported on the other, so that trying more plans is no advantage by
itself.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

from lib.delta_come.gain import LEAST_GAIN
from lib.delta_come.judging import NO_GAIN, all_or_needs, grouped, left_out, pair_name
from lib.delta_come.metrics import ChooseTheBits
from lib.ledger import Estimate, Verdict, above, all_of, below, over_seeds

Runs = Sequence[ChooseTheBits]

PRECISIONS = {1: "one", 2: "two", 3: "three"}
_CLOSE = 1.1  # 3 bits at most so much worse than 4 is still the paper's direction
_STORED = {"row": "scales a row", "rank": "scales a rank"}


def more_precisions_are_better(measured: Runs) -> Verdict:
    """Judge C6: KL and errors of outputs fall from one precision to two, and from two to three."""
    verdicts = {}
    for group, runs in grouped(measured, _group).items():
        for what, of in {"KL": _divergence, "output error": _output_error}.items():
            for few, many in ((1, 2), (2, 3)):
                ratios = [
                    of(run)[best_of(run, many)] / of(run)[best_of(run, few)]
                    for run in runs
                    if best_of(run, few) and best_of(run, many)
                ]
                if ratios:
                    name = f"{group}, {what} of {PRECISIONS[many]} over {PRECISIONS[few]}"
                    verdicts[name] = below(ratio_estimate(ratios), 1)
    return all_or_needs(verdicts, "a pair compressed by plans of one, two and three precisions")


def three_bits_are_best(measured: Runs) -> Verdict:
    """Judge C7: the KL of 3 bits alone is below that of every other width alone; close to 4 bits is the direction."""
    verdicts = {}
    for group, runs in grouped(measured, _group).items():
        for other in ("16", "8", "4", "2"):
            ratios = [
                run.divergence["3"] / run.divergence[other] for run in runs if {"3", other} <= run.divergence.keys()
            ]
            if ratios:
                no_effect = _CLOSE if other == "4" else None
                name = f"{group}, KL of 3 bits over {other} bits"
                verdicts[name] = below(ratio_estimate(ratios), 1, no_effect=no_effect)
    return all_or_needs(verdicts, "a pair compressed with single precisions")


def searching_is_better(measured: Runs) -> Verdict:
    """Judge C13: the search by perplexity ends at a lower perplexity and a higher score than the greedy choice.

    Its cost, in compressions, is told and not judged: parameters of the notebook set it. Where nothing was scored, the
    KL stands for the score: where a fine-tune unlearnt plain text, a plan that loses it has the lower perplexity. A
    pair whose fine-tune scores hardly more than its base is left out by name.
    """
    searched = [run for run in measured if {"greedy", "genetic"} <= run.compressions.keys()]
    runs = [run for run in searched if not _gained_too_little(run)]
    verdicts = {group: _searched(own) for group, own in grouped(runs, _group).items()}
    judged = all_or_needs(verdicts, "a pair searched by the genetic and by the greedy search")
    if runs:
        cost = ratio_estimate([run.compressions["genetic"] / run.compressions["greedy"] for run in runs], "run")
        told = f"as it was set, the search took {cost.value:.4g} times the greedy choice's compressions"
        judged = replace(judged, reason=f"{judged.reason}; {told}")
    return left_out(judged, [run for run in searched if _gained_too_little(run)], NO_GAIN)


def best_of(run: ChooseTheBits, precisions: int) -> str | None:
    """Return the plan of so many precisions with the least KL on the items to choose by; None where there is none."""
    own = [name for name in run.chosen_by if name.count("+") == precisions - 1]
    return min(own, key=run.chosen_by.get, default=None)


def recovery(run: ChooseTheBits, name: str) -> float | None:
    """Return R = (s - s_base) / (s_ft - s_base) of a search; None where it was not scored or hardly gained."""
    scores = run.found_accuracy
    if not {"base", "fine-tune", name} <= scores.keys() or _gained_too_little(run):
        return None
    return (scores[name] - scores["base"]) / (scores["fine-tune"] - scores["base"])


def ratio_estimate(ratios: Sequence[float], unit: str = "seed") -> Estimate:
    """Return the geometric mean of ratios with an interval over seeds, and in how many of them it is below 1."""
    logs = over_seeds([math.log(ratio) for ratio in ratios], unit)
    interval = logs.interval and tuple(math.exp(end) for end in logs.interval)
    fewer = sum(ratio < 1 for ratio in ratios)
    return Estimate(math.exp(logs.value), interval, f"{logs.basis}, below 1 in {fewer} of {len(ratios)}")


def _searched(runs: Runs) -> Verdict:
    """Judge one pair's searches by perplexity, and by score or, without one, by KL."""
    perplexity = [run.found_perplexity["genetic"] / run.found_perplexity["greedy"] for run in runs]
    verdicts = {"perplexity of the search over that of the greedy choice": below(ratio_estimate(perplexity), 1)}
    scored = [run for run in runs if recovery(run, "greedy") is not None and recovery(run, "genetic") is not None]
    if scored:
        gains = [100 * (recovery(run, "genetic") - recovery(run, "greedy")) for run in scored]
        verdicts["recovered share, difference in %"] = above(over_seeds(gains), 0)
    else:
        divergence = [run.found_divergence["genetic"] / run.found_divergence["greedy"] for run in runs]
        verdicts["KL of the search over that of the greedy choice"] = below(ratio_estimate(divergence), 1)
    return all_of(**verdicts)


def _gained_too_little(run: ChooseTheBits) -> bool:
    """Tell whether base and fine-tune were scored, and hardly differ."""
    scores = run.found_accuracy
    return {"base", "fine-tune"} <= scores.keys() and not scores["fine-tune"] - scores["base"] >= LEAST_GAIN


def _group(run: ChooseTheBits) -> str:
    return f"{pair_name(run)}, {_STORED.get(run.scales, run.scales)}"


def _divergence(run: ChooseTheBits) -> dict[str, float]:
    return run.divergence


def _output_error(run: ChooseTheBits) -> dict[str, float]:
    return run.output_error
