"""Verdicts on how the bits are chosen: C6, C7 and C13, from runs over pairs at equal true bytes.

Ratios are averaged as logarithms, with an interval over runs. A run's best plan of a number of precisions is chosen on
one half of the items and reported on the other, so that trying more plans is no advantage by itself.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

from lib.delta_come.metrics import ChooseTheBits
from lib.ledger import Estimate, Verdict, above, all_of, below, not_measured, over_seeds

Runs = Sequence[ChooseTheBits]

PRECISIONS = {1: "one", 2: "two", 3: "three"}
_CLOSE = 1.1  # 3 bits at most so much worse than 4 is still the paper's direction
_STORED = {"row": "scales a row", "rank": "scales a rank"}


def more_precisions_are_better(measured: Runs) -> Verdict:
    """Judge C6: KL and errors of outputs fall from one precision to two, and from two to three."""
    verdicts = {}
    for scales, runs in _by_scales(measured).items():
        for what, of in {"KL": _divergence, "output error": _output_error}.items():
            for few, many in ((1, 2), (2, 3)):
                ratios = [
                    of(run)[best_of(run, many)] / of(run)[best_of(run, few)]
                    for run in runs
                    if best_of(run, few) and best_of(run, many)
                ]
                if ratios:
                    name = f"{_STORED[scales]}, {what} of {PRECISIONS[many]} over {PRECISIONS[few]}"
                    verdicts[name] = below(ratio_estimate(ratios), 1)
    return _all(verdicts, "a pair compressed by plans of one, two and three precisions")


def three_bits_are_best(measured: Runs) -> Verdict:
    """Judge C7: the KL of 3 bits alone is below that of every other width alone; close to 4 bits is the direction."""
    verdicts = {}
    for scales, runs in _by_scales(measured).items():
        for other in ("16", "8", "4", "2"):
            ratios = [
                run.divergence["3"] / run.divergence[other] for run in runs if {"3", other} <= run.divergence.keys()
            ]
            if ratios:
                no_effect = _CLOSE if other == "4" else None
                name = f"{_STORED[scales]}, KL of 3 bits over {other} bits"
                verdicts[name] = below(ratio_estimate(ratios), 1, no_effect=no_effect)
    return _all(verdicts, "a pair compressed with single precisions")


def searching_is_better(measured: Runs) -> Verdict:
    """Judge C13: the search by perplexity ends at a lower perplexity and a higher score than the greedy choice.

    Its cost, in compressions, is told and not judged: parameters of the notebook set it. Where nothing was scored, the
    KL stands for the score: where a fine-tune unlearnt plain text, a plan that loses it has the lower perplexity.
    """
    runs = [run for run in measured if {"greedy", "genetic"} <= run.compressions.keys()]
    if not runs:
        return not_measured("needs a pair searched by the genetic and by the greedy search")
    perplexity = [run.found_perplexity["genetic"] / run.found_perplexity["greedy"] for run in runs]
    cost = [run.compressions["genetic"] / run.compressions["greedy"] for run in runs]
    scored = [run for run in runs if recovery(run, "greedy") is not None]
    verdicts = {"perplexity of the search over that of the greedy choice": below(ratio_estimate(perplexity), 1)}
    if scored:
        gains = [100 * (recovery(run, "genetic") - recovery(run, "greedy")) for run in scored]
        verdicts["recovered share, difference in %"] = above(over_seeds(gains, "run"), 0)
    else:
        divergence = [run.found_divergence["genetic"] / run.found_divergence["greedy"] for run in runs]
        verdicts["KL of the search over that of the greedy choice"] = below(ratio_estimate(divergence), 1)
    judged = all_of(**verdicts)
    times = f"{ratio_estimate(cost).value:.4g} times the greedy choice's compressions"
    return replace(judged, reason=f"{judged.reason}; as it was set, the search took {times}")


def best_of(run: ChooseTheBits, precisions: int) -> str | None:
    """Return the plan of so many precisions with the least KL on the items to choose by; None where there is none."""
    own = [name for name in run.chosen_by if name.count("+") == precisions - 1]
    return min(own, key=run.chosen_by.get, default=None)


def recovery(run: ChooseTheBits, name: str) -> float | None:
    """Return R = (s - s_base) / (s_ft - s_base) of a search's plan; None where nothing was scored or gained."""
    scores = run.found_accuracy
    if not {"base", "fine-tune", name} <= scores.keys() or scores["fine-tune"] <= scores["base"]:
        return None
    return (scores[name] - scores["base"]) / (scores["fine-tune"] - scores["base"])


def ratio_estimate(ratios: Sequence[float], unit: str = "run") -> Estimate:
    """Return the geometric mean of ratios with an interval over runs, and in how many of them it is below 1."""
    logs = over_seeds([math.log(ratio) for ratio in ratios], unit)
    interval = logs.interval and tuple(math.exp(end) for end in logs.interval)
    fewer = sum(ratio < 1 for ratio in ratios)
    return Estimate(math.exp(logs.value), interval, f"{logs.basis}, below 1 in {fewer} of {len(ratios)}")


def _by_scales(runs: Runs) -> dict[str, list[ChooseTheBits]]:
    return {scales: own for scales in _STORED if (own := [run for run in runs if run.scales == scales])}


def _divergence(run: ChooseTheBits) -> dict[str, float]:
    return run.divergence


def _output_error(run: ChooseTheBits) -> dict[str, float]:
    return run.output_error


def _all(verdicts: dict[str, Verdict], needs: str) -> Verdict:
    return all_of(**verdicts) if verdicts else not_measured(f"needs {needs}")
