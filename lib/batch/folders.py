"""A run's folder is written beside its place and put there whole; one lock a run keeps two batches apart.

reports/runs/quick/onebit/.01_x-0123456789ab       being written
reports/runs/quick/onebit/01_x-0123456789ab        complete, only ever replaced whole
reports/runs/quick/onebit/.old-01_x-0123456789ab   being replaced: exists for an instant
reports/runs/.locks/quick-0123456789ab.lock
"""

import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from lib.batch.orphans import end_processes, marked
from lib.batch.run import NOTEBOOK_FILE, Outcome, Run, RunFileError, RunStatus
from lib.checkout import Checkout

_OLD = ".old-"


def lock(checkout: Checkout, run: Run) -> FileLock:
    """Return the lock that whoever writes a run's folder holds; not yet acquired."""
    return _lock(checkout, run.profile, run.key)


def result(checkout: Checkout, run: Run) -> Outcome | None:
    """Return the outcome of a run that is done and complete, else None."""
    folder = run.folder(checkout)
    try:
        outcome = Outcome.load(folder)
        stored = Run.load(folder)
    except RunFileError:
        return None
    is_this = stored.key == run.key and stored.notebook == run.notebook
    return outcome if is_this and outcome.status is RunStatus.DONE and _is_whole(folder / NOTEBOOK_FILE) else None


def working_folder(checkout: Checkout, run: Run) -> Path:
    """Return where a run writes until it has ended."""
    place = run.folder(checkout)
    return place.with_name(f".{place.name}")


def new_working_folder(checkout: Checkout, run: Run) -> Path:
    """Make an empty working folder, after ending whatever an earlier attempt left behind. Needs the run's lock."""
    folder = working_folder(checkout, run)
    end_processes(folder)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def put_in_place(checkout: Checkout, run: Run) -> None:
    """Put a run's finished working folder in its place, in place of what stood there. Needs the run's lock.

    Older results of the same notebook, parameters and threads, measured by other code, are removed: what stands in
    `reports/runs` is what the present code gives.
    """
    place = run.folder(checkout)
    old = place.with_name(_OLD + place.name)
    if place.exists():
        shutil.rmtree(old, ignore_errors=True)
        place.rename(old)
    working_folder(checkout, run).rename(place)
    shutil.rmtree(old, ignore_errors=True)
    for outdated in same_experiment(checkout, run):
        _remove_unless_busy(checkout, run.profile, outdated)


def same_experiment(checkout: Checkout, run: Run) -> Iterator[Path]:
    """Yield the folders of runs of the same notebook, parameters and threads under another key, newest first."""
    place = run.folder(checkout)
    found = [path for path in place.parent.glob(f"{run.name}-*") if path != place]
    for path in sorted(found, key=lambda path: path.stat().st_mtime, reverse=True):
        with contextlib.suppress(RunFileError):
            other = Run.load(path)
            if (other.notebook, other.parameters, other.threads) == (run.notebook, run.parameters, run.threads):
                yield path


def sweep(checkout: Checkout) -> int:
    """Mend what killed batches left: end their processes, remove or finish half-done folders.

    Whatever belongs to a batch that is running now is left alone: its lock tells.

    Returns:
        How many processes were ended.
    """
    orphaned = {Path(run) for _, run in marked() if Path(run).is_relative_to(checkout.runs)}
    unfinished = {path for path in _hidden(checkout) if not path.name.startswith(_OLD)}
    ended = 0
    for folder in orphaned | unfinished:
        with contextlib.suppress(Timeout), _lock_of(checkout, folder).acquire(timeout=0):
            ended += end_processes(folder)
    for folder in _hidden(checkout):
        with contextlib.suppress(Timeout), _lock_of(checkout, folder).acquire(timeout=0):
            _mend(folder)
    return ended


def _is_whole(notebook: Path) -> bool:
    """Whether an executed notebook can be read: a damaged disk or hand may have cut it off."""
    try:
        content = json.loads(notebook.read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and isinstance(content.get("cells"), list)


def _mend(folder: Path) -> None:
    if folder.name.startswith(_OLD):
        place = folder.with_name(folder.name.removeprefix(_OLD))
        if not place.exists() and folder.exists():  # killed between the two renames: the old result stands again
            folder.rename(place)
            return
    shutil.rmtree(folder, ignore_errors=True)


def _hidden(checkout: Checkout) -> list[Path]:
    found = [*checkout.runs.glob("*/.*-*"), *checkout.runs.glob("*/*/.*-*")]  # notebooks of no paper, of a paper
    return [path for path in found if path.is_dir()]


def _lock_of(checkout: Checkout, folder: Path) -> FileLock:
    profile = folder.relative_to(checkout.runs).parts[0]
    return _lock(checkout, profile, folder.name.rpartition("-")[2])


def _lock(checkout: Checkout, profile: str, key: str) -> FileLock:
    locks = checkout.runs / ".locks"
    locks.mkdir(parents=True, exist_ok=True)
    return FileLock(locks / f"{profile}-{key}.lock")


def _remove_unless_busy(checkout: Checkout, profile: str, folder: Path) -> None:
    doomed = folder.with_name(_OLD + folder.name)
    with contextlib.suppress(Timeout, OSError), _lock_of(checkout, folder).acquire(timeout=0):
        os.rename(folder, doomed)  # first out of sight: a reader never meets half a folder
        shutil.rmtree(doomed, ignore_errors=True)
