"""Run a batch again in a copy of the checkout, and print which metrics moved, by how much.

The copy holds the notebooks, `lib`, the lock and what batch.yaml names as inputs, and no results: nothing is taken from
before but what `artifacts/` keeps. What it leaves out: notebooks that make no record.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from lib.batch import gpu
from lib.batch.batch_file import read_batch_file
from lib.batch.comparison import Comparison, print_comparisons
from lib.batch.errors import PlanError
from lib.batch.folders import same_experiment
from lib.batch.plan import make_plan
from lib.batch.run import Outcome, Run, RunFileError, RunStatus
from lib.batch.runner import Order, run_batch
from lib.checkout import Checkout
from lib.ledger.compare import count, differences
from lib.ledger.evidence import committed_path, read_record
from lib.ledger.faults import RecordError
from lib.ledger.records import RECORD_FILE, Record
from lib.ledger.rooms import Rooms

_ARTIFACTS = "SIX_PAPERS_ARTIFACTS"
_NOT_COPIED = shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints", ".*")


def reproduce(
    checkout: Checkout, profile: str, paper: str | None = None, only: str | None = None, workers: int = 2
) -> int:
    """Run a batch again and compare each metric with the earlier record: the run's here, else the committed one.

    Args:
        checkout: Whose batch.
        profile: Its profile.
        paper: One paper, or None for all.
        only: Pattern for notebooks' names, or None for all.
        workers: How many runs at once.

    Returns:
        0 if nothing but timings moved, 1 if something did or could not be compared, 130 after Ctrl-C.

    Raises:
        PlanError: The batch cannot be planned as asked, or there is nothing to compare with.
    """
    checkout = Checkout(checkout.root.resolve())
    runs = [planned.run for planned in make_plan(checkout, profile, paper, only, gpu_name=gpu.name())]
    rooms = Rooms(checkout)
    earlier = {run.key: next(_earlier(checkout, run, rooms), None) for run in runs}
    if not any(earlier.values()):
        raise PlanError(f"there is no record to compare with; run make reports PROFILE={profile} first")
    with _copy(checkout, runs) as copy:
        status = run_batch(Order(profile, paper, only, workers), copy, lambda copied, _: copied.runs)
        if status >= 128:  # a signal
            return status
        found = [_compared(run, run.folder(copy), earlier[run.key], rooms) for run in runs]
    compared = [each for each in found if each is not None]
    print_comparisons(compared)
    return 0 if status == 0 and not any(each.is_amiss for each in compared) else 1


def _earlier(checkout: Checkout, run: Run, rooms: Rooms) -> Iterator[tuple[str, Record]]:
    """Yield path and record of earlier measurements: of this very run, of the same by other code, committed."""
    folders = [run.folder(checkout), *same_experiment(checkout, run)]
    paths = [folder / RECORD_FILE for folder in folders if _is_done(folder)]
    for path in [*paths, committed_path(run, checkout)]:
        with suppress(RecordError):
            yield checkout.relative(path), read_record(path, rooms)


def _compared(run: Run, folder: Path, earlier: tuple[str, Record] | None, rooms: Rooms) -> Comparison | None:
    """Return what moved in one run; None for a notebook that makes no record, now or before."""
    where, before = earlier or ("", None)
    if not _is_done(folder):
        return Comparison(run.title, where, trouble="did not end well this time, see above")
    if not (folder / RECORD_FILE).is_file():
        return Comparison(run.title, where, trouble="made no record this time") if before else None
    if before is None:
        return Comparison(run.title, where, trouble="has no earlier record that can be read")
    try:
        later = read_record(folder / RECORD_FILE, rooms).metrics
    except RecordError as error:
        return Comparison(run.title, where, trouble=f"its new record is no evidence ({error})")
    return Comparison(run.title, where, count(later), tuple(differences(before.metrics, later)))


def _is_done(folder: Path) -> bool:
    try:
        return Outcome.load(folder).status is RunStatus.DONE
    except RunFileError:
        return False


@contextmanager
def _copy(checkout: Checkout, runs: Sequence[Run]) -> Iterator[Checkout]:
    """Make a checkout with the same code and inputs and no results, for as long as the context lasts."""
    with tempfile.TemporaryDirectory(prefix="six-papers-reproduce-") as folder, _shared_artifacts(checkout):
        copy = Checkout(Path(folder).resolve())
        needed = {checkout.lib, checkout.notebooks, checkout.lock, *_inputs(checkout, runs)}
        for path in sorted(path for path in needed if path.exists()):
            target = copy.root / checkout.relative(path)
            if path.is_dir():
                shutil.copytree(path, target, ignore=_NOT_COPIED, dirs_exist_ok=True)
            else:
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(path, target)
        yield copy


def _inputs(checkout: Checkout, runs: Sequence[Run]) -> Iterator[Path]:
    """Yield what the batch.yaml of these runs name as inputs; results of runs are made anew and not copied."""
    for paper in {run.paper for run in runs}:
        file = checkout.notebooks / paper / "batch.yaml"
        profiles = read_batch_file(file, checkout.relative(file)) if file.is_file() else {}
        for name in (name for entries in profiles.values() for entry in entries for name in entry.inputs):
            if not (checkout.root / name).is_relative_to(checkout.runs):
                yield checkout.root / name


@contextmanager
def _shared_artifacts(checkout: Checkout) -> Iterator[None]:
    """Let the copy use what this checkout has trained and converted."""
    before = os.environ.get(_ARTIFACTS)
    os.environ[_ARTIFACTS] = before or str(checkout.root / "artifacts")
    try:
        yield
    finally:
        if before is None:
            del os.environ[_ARTIFACTS]
