"""What the process of one run does: wait for its turn, execute, put the folder in place.

Started by the pool through multiprocessing (`work`), or on a cluster's node as a program:

    python -m lib.batch.worker ROOT SINCE BATCH < run.json    # BATCH only marks the process
"""

import errno
import json
import logging
import os
import shutil
import sys
from contextlib import ExitStack, suppress
from pathlib import Path

from lib.batch.folders import lock, new_working_folder, put_in_place, result, working_folder
from lib.batch.guard import EXIT_INTERRUPTED, Guard
from lib.batch.json_files import from_json
from lib.batch.orphans import KERNEL_FILE
from lib.batch.run import LOG_FILE, NOTEBOOK_FILE, PROGRESS_FILE, Outcome, Run, RunStatus
from lib.checkout import Checkout

EXIT_RAN = 0  # the run's folder holds its outcome, good or bad
EXIT_TAKEN = 3  # another batch has done this run meanwhile
EXIT_DISK_FULL = 5  # not even the outcome could be written


def work(run: Run, root: Path, since: str) -> None:
    """Carry out a run in this process, which is the run's own, and end the process with one of the statuses above.

    Args:
        run: What to run.
        root: The checkout's root.
        since: A result that another batch has finished after this time (UTC, ISO 8601) is taken as it is; the empty
            text takes any.
    """
    guard = Guard()
    checkout = Checkout(root)
    with lock(checkout, run):
        try:
            sys.exit(_carry_out(run, checkout, since, guard))
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            shutil.rmtree(working_folder(checkout, run), ignore_errors=True)
            sys.exit(EXIT_DISK_FULL)


def _carry_out(run: Run, checkout: Checkout, since: str, guard: Guard) -> int:
    taken = result(checkout, run)
    if taken is not None and taken.finished > since:
        return EXIT_TAKEN
    with ExitStack() as held:
        # Here and not above: papermill is in the fork server already, elsewhere it takes two seconds, which are none of
        # the run's own.
        import papermill.execute  # noqa: F401

        from lib.batch import gpu
        from lib.batch.environment import set_environment
        from lib.batch.execute import execute

        device = held.enter_context(gpu.leased()) if run.gpus else None
        folder = new_working_folder(checkout, run)
        run.save(folder)
        _log_to(folder / LOG_FILE)
        set_environment(run, checkout, folder, device)
        guard.begin(folder, run.limit_s)
        outcome = execute(run, checkout, folder, guard)
        guard.disarm()
    return _finish(run, checkout, folder, outcome, keep_old=taken is not None)


def _finish(run: Run, checkout: Checkout, folder: Path, outcome: Outcome, keep_old: bool) -> int:
    interrupted = outcome.status is RunStatus.INTERRUPTED
    if interrupted and keep_old:  # a good result is never replaced by half a one
        shutil.rmtree(folder, ignore_errors=True)
        return EXIT_INTERRUPTED
    for name in (PROGRESS_FILE, KERNEL_FILE):  # of use only while it ran
        (folder / name).unlink(missing_ok=True)
    _save(outcome, folder)
    put_in_place(checkout, run)
    return EXIT_INTERRUPTED if interrupted else EXIT_RAN


def _save(outcome: Outcome, folder: Path) -> None:
    try:
        outcome.save(folder)
    except OSError:
        if outcome.status is RunStatus.DONE:
            raise
        for name in (NOTEBOOK_FILE, LOG_FILE):  # on a full disk what went wrong is worth more than half a notebook
            with suppress(OSError):
                (folder / name).unlink()
        outcome.save(folder)


def _log_to(path: Path) -> None:
    """Send all that this process and its kernel print to the run's log: the terminal belongs to the runner."""
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    sys.stdout.flush()
    sys.stderr.flush()
    for stream in (1, 2):
        os.dup2(log, stream)
    os.close(log)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s", force=True, stream=sys.stderr)
    logging.getLogger("papermill").setLevel(logging.INFO)


if __name__ == "__main__":
    work(from_json(Run, json.load(sys.stdin), Path("standard input")), Path(sys.argv[1]), sys.argv[2])
