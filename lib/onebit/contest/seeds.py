"""Several seeds side by side: runs that left records, and each method against the paper's form with its interval."""

from collections.abc import Iterable
from dataclasses import dataclass

from lib.checkout import Checkout
from lib.ledger import Estimate, over_seeds
from lib.ledger.evidence import committed, just_measured
from lib.ledger.rooms import Rooms
from lib.onebit.metrics import CompareAtEqualBits


@dataclass(frozen=True)
class Gain:
    """A trained method beside the paper's form, with the same teacher, text and budget.

    Attributes:
        teacher: What was quantised.
        method: The method's name.
        bits: Its stored bits a weight.
        ratio: Its perplexity over that of the paper's form, paired by seed; below 1 it is better.
        tokens: That each student saw.
    """

    teacher: str
    method: str
    bits: float
    ratio: Estimate
    tokens: int


def recorded_runs(checkout: Checkout = Checkout()) -> list[CompareAtEqualBits]:
    """Return the runs that were committed or measured here, one of each teacher, seed and budget: the newer one."""
    rooms = Rooms(checkout)
    kept = [*committed(checkout, rooms)[0], *just_measured(checkout, rooms)[0]]
    found = {}
    for each in sorted(kept, key=lambda each: each.record.provenance.started):
        metrics = each.record.metrics
        if isinstance(metrics, CompareAtEqualBits):
            found[metrics.teacher, metrics.seed, metrics.tokens] = metrics
    return list(found.values())


def gains(runs: Iterable[CompareAtEqualBits], reference: str = "onebit") -> list[Gain]:
    """Return every trained method against the paper's form, teachers from the smallest up, each at its largest budget.

    Args:
        runs: With any teachers, seeds and methods; a run without the reference counts for nothing.
        reference: The method that all are held against.
    """
    by_teacher: dict[str, list[CompareAtEqualBits]] = {}
    for run in sorted(runs, key=lambda run: (run.teacher_parameters, run.seed)):
        if reference in run.perplexity:
            by_teacher.setdefault(run.teacher, []).append(run)
    found = []
    for teacher, own in by_teacher.items():
        largest = [run for run in own if run.tokens == max(each.tokens for each in own)]
        for method in dict.fromkeys(name for run in largest for name in run.learning_rates if name != reference):
            ratios = [
                run.perplexity[method] / run.perplexity[reference] for run in largest if method in run.learning_rates
            ]
            bits = next(run.bits[method] for run in largest if method in run.learning_rates)
            found.append(Gain(teacher, method, bits, over_seeds(ratios), largest[0].tokens))
    return found
