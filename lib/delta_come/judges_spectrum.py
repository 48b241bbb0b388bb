"""Verdicts on spectra and on determinism: C1 and C17.

The criterion of C1 is the project's own, for the paper shows a curve: the first 3 % of the directions hold more than
15 % of the energy and 95 % of it need more than a quarter of them, in the type of projection where that is least true.
Random signs alone may pass that, so the head has to be heavier than theirs as well. Each pair (base, task and regime)
is judged by itself, and the worst decides.
"""

from collections.abc import Sequence

from lib.delta_come.judging import all_or_needs, grouped, pair_name
from lib.delta_come.metrics import CompressOneLayer, LookAtTheSpectrum
from lib.ledger import Verdict, above, no_violations, over_seeds

HEAD, TAIL = 15.0, 25.0  # percent: of the energy in 3 % of the directions; of the directions for 95 % of the energy


def long_tailed(measured: Sequence[LookAtTheSpectrum]) -> Verdict:
    """Judge C1 on each pair, on the weakest type of projection; intervals are over seeds."""
    verdicts = {}
    for pair, runs in grouped(measured, pair_name).items():
        heads = [100 * min(run.head.values()) for run in runs]
        tails = [100 * min(run.tail.values()) for run in runs]
        gains = [min(run.head[kind] / run.control_head[kind] for kind in run.head) for run in runs]
        verdicts |= {
            f"{pair}, %_of_the_energy_in_3_%_of_the_directions": above(over_seeds(heads), HEAD),
            f"{pair}, %_of_the_directions_for_95_%_of_the_energy": above(over_seeds(tails), TAIL),
            f"{pair}, head_over_that_of_random_signs": above(over_seeds(gains), 1),
        }
    return all_or_needs(verdicts, "the spectrum of a pair")


def deterministic(measured: Sequence[CompressOneLayer]) -> Verdict:
    """Judge C17: the files of two compressions of a pair differ in no byte."""
    verdicts = {}
    for pair, runs in grouped(measured, pair_name).items():
        differing, looked_at = sum(run.differing_bytes for run in runs), sum(run.file_bytes for run in runs)
        verdicts[pair] = no_violations(differing, looked_at, f"bytes of {len(runs)} artifacts")
    return all_or_needs(verdicts, "a pair compressed twice")
