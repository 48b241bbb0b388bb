"""What a batch did: batch.json for the report, and the closing words for the terminal."""

import re
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from lib import machine
from lib.batch.cell_numbers import cell_number
from lib.batch.ended import Ended
from lib.batch.json_files import read_json
from lib.batch.plan import Planned
from lib.batch.run import (
    LOG_FILE,
    NOTEBOOK_FILE,
    BatchEntry,
    BatchSummary,
    CellError,
    RunFileError,
    RunStatus,
    utc_now,
)
from lib.checkout import Checkout

_ARROW = re.compile(r"^-+> *\d+ (.+)$", re.MULTILINE)  # IPython's mark; the first one is in the cell
_LINES = 4  # of an error's message; the page has all of it


def save_summary(
    checkout: Checkout, profile: str, workers: int, plan: Sequence[Planned], found: Sequence[Ended], started: str
) -> None:
    """Write batch.json: the runs that have a folder, in the order of the plan. A full disk is said, not raised."""
    by_key = {one.run.key: one for one in found if one.stored}
    entries = [_entry(checkout, planned, by_key[planned.run.key]) for planned in plan if planned.run.key in by_key]
    facts = asdict(machine.describe())
    summary = BatchSummary(profile, started, utc_now(), workers, tuple(entries), facts)
    try:
        summary.save(checkout)
    except OSError as error:
        print(f"batch.json could not be written ({error}); the runs themselves are kept", flush=True)


def closing_words(checkout: Checkout, found: Sequence[Ended], kept: bool = True) -> str:
    """Return what is printed last: each run that went wrong with its cell and error, then the counts.

    Args:
        checkout: Where the runs' folders are.
        found: All runs of the batch.
        kept: False where the folders are about to go, so that tracebacks are shown and not the logs named.
    """
    wrong = [one for one in found if one.outcome.status not in (RunStatus.DONE, RunStatus.INTERRUPTED)]
    done = [one for one in found if one.outcome.status is RunStatus.DONE]
    cached = sum(one.cached for one in done)
    counts = [f"{len(done)} of {len(found)} runs done ({cached} of them before)"]
    counts += [f"{len(wrong)} went wrong"] if wrong else []
    return "\n".join([*(_trouble(checkout, one, kept) for one in wrong), ", ".join(counts)])


def _trouble(checkout: Checkout, one: Ended, kept: bool) -> str:
    error = one.outcome.error
    place = _place(one.run.folder(checkout), error) if error else ""
    lines = [f"{one.run.title}: {one.outcome.status.value}{place}"]
    if error:
        message = error.message.splitlines()[:_LINES] or [""]
        lines += [f"    {error.name}: {message[0]}", *(f"    {line}" for line in message[1:])]
    if error and not kept:
        lines += [f"    {line}" for line in error.traceback.splitlines()]
    elif one.stored:
        lines.append(f"    log: {checkout.relative(one.run.folder(checkout) / LOG_FILE)}")
    return "\n".join(lines)


def _place(folder: Path, error: CellError) -> str:
    """Return the number that JupyterLab shows beside the failed cell, and the line in it that failed."""
    number = None if error.cell is None else _number(folder, error.cell)
    failed = _ARROW.search(error.traceback)
    return (f" in cell [{number}]" if number else "") + (f": {failed[1].strip()}" if failed else "")


def _number(folder: Path, index: int) -> int | None:
    try:
        return cell_number(read_json(folder / NOTEBOOK_FILE)["cells"], index)
    except (RunFileError, KeyError, TypeError, AttributeError):
        return None  # there is no notebook, or half of one


def _entry(checkout: Checkout, planned: Planned, one: Ended) -> BatchEntry:
    previous = planned.previous
    return BatchEntry(
        folder=one.run.folder(checkout).relative_to(checkout.runs).as_posix(),
        cached=one.cached,
        status=one.outcome.status,
        duration_s=one.outcome.duration_s,
        previous_status=previous.status if previous else None,
        previous_duration_s=previous.duration_s if previous else None,
    )
