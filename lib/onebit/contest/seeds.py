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
        ratio: Its perplexity over that of the paper's form in the same run; below 1 it is better. None where every
            training diverged.
        tokens: That each student saw.
        diverged: Runs in which its training diverged.
    """

    teacher: str
    method: str
    bits: float
    ratio: Estimate | None
    tokens: int
    diverged: int = 0


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
    """Return every trained method against the paper's form, teachers from the smallest up.

    A method takes part with the largest budget that it had on a teacher, against the reference of those very runs: two
    methods of one teacher may have had different budgets, and each row says its own.

    Args:
        runs: With any teachers, seeds and methods; a run without the reference counts for nothing.
        reference: The method that all are held against.
    """
    by_teacher: dict[str, list[CompareAtEqualBits]] = {}
    for run in sorted(runs, key=lambda run: (run.teacher_parameters, run.seed)):
        if reference in run.perplexity:
            by_teacher.setdefault(run.teacher, []).append(run)
    found = []
    for teacher, runs in by_teacher.items():
        for method in dict.fromkeys(name for run in runs for name in run.learning_rates if name != reference):
            own = [run for run in runs if method in run.learning_rates]
            found.append(_gain(teacher, method, own, reference))
    return found


def _gain(teacher: str, method: str, runs: list[CompareAtEqualBits], reference: str) -> Gain:
    tokens = max(run.tokens for run in runs)
    largest = [run for run in runs if run.tokens == tokens]
    ratios = [run.perplexity[method] / run.perplexity[reference] for run in largest if method in run.perplexity]
    ratio = over_seeds(ratios) if ratios else None
    return Gain(teacher, method, largest[0].bits[method], ratio, tokens, len(largest) - len(ratios))
