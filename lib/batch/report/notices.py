"""What is wrong with pages and records: a failure where the last batch made it, a notice where an earlier one did."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from lib.batch.run import BatchSummary, RunFileError
from lib.checkout import Checkout

if TYPE_CHECKING:
    from lib.ledger.boards import Board

_AGAIN = "--fresh"  # a change of a notebook's text alone leaves its runs as they are


def failures(checkout: Checkout, profile: str, faults: Mapping[Path, tuple[str, ...]]) -> tuple[str, ...]:
    """Return what is wrong with the pages of the last batch's runs, one sentence each.

    Args:
        checkout: Where its summary lies.
        profile: The profile of that batch. Where it left no summary, all pages count.
        faults: What is wrong with a run's page, by the run's folder.
    """
    own = _last_batch(checkout, profile)
    return tuple(
        f"{checkout.relative(folder)}: {fault}; mend the notebook and run it again with {_AGAIN}"
        for folder, found in faults.items()
        for fault in found
        if own is None or folder in own
    )


def notices(
    checkout: Checkout, profile: str, faults: Mapping[Path, tuple[str, ...]], board: "Board"
) -> tuple[str, ...]:
    """Return what is wrong and is no failure of the last batch: pages of earlier runs, records, claims.

    Args:
        checkout: As for `failures`.
        profile: As for `failures`.
        faults: As for `failures`.
        board: The verdicts with the ledger's own faults.
    """
    own = _last_batch(checkout, profile)
    earlier = [
        f"{checkout.relative(folder)}: {fault}; it is of an earlier batch: delete that folder, or mend the notebook "
        f"and run it again with {_AGAIN}"
        for folder, found in faults.items()
        for fault in found
        if own is not None and folder not in own
    ]
    return (*earlier, *map(str, board.faults))


def _last_batch(checkout: Checkout, profile: str) -> set[Path] | None:
    try:
        return {checkout.runs / entry.folder for entry in BatchSummary.load(checkout, profile).runs}
    except RunFileError:
        return None
