"""What the runner learns from the process of a run once it has ended."""

import contextlib
import signal
from dataclasses import dataclass
from datetime import datetime

from filelock import Timeout

from lib.batch.folders import lock, put_in_place, working_folder
from lib.batch.guard import EXIT_INTERRUPTED
from lib.batch.orphans import end_processes
from lib.batch.run import CellError, Outcome, Run, RunFileError, RunStatus, utc_now
from lib.batch.worker import EXIT_DISK_FULL, EXIT_RAN, EXIT_TAKEN
from lib.checkout import Checkout

_LOCK_S = 10.0


@dataclass(frozen=True)
class Ended:
    """A run that has ended.

    Attributes:
        run: The run.
        outcome: How it ended.
        cached: True if the result is another batch's.
        stored: True if the run's folder holds this outcome; False after an interruption or on a full disk.
    """

    run: Run
    outcome: Outcome
    cached: bool = False
    stored: bool = True


def ended(run: Run, checkout: Checkout, exit_status: int, started: str, finished: str, stopped: bool = False) -> Ended:
    """Return how a run ended, from its process's exit status and what it left on disk.

    Args:
        run: The run.
        checkout: Where its folder is.
        exit_status: Of its process; negative is the signal that killed it.
        started: When the process was started: UTC, ISO 8601.
        finished: When it ended.
        stopped: True if it was told to end, so that an end without a word is an interruption.
    """
    if exit_status in (EXIT_RAN, EXIT_TAKEN):
        try:
            return Ended(run, Outcome.load(run.folder(checkout)), cached=exit_status == EXIT_TAKEN)
        except RunFileError as error:
            return Ended(run, _outcome(RunStatus.FAILED, started, finished, "RunFileError", str(error)), stored=False)
    stopped = stopped or exit_status in (EXIT_INTERRUPTED, -signal.SIGTERM)
    if stopped and exit_status != EXIT_DISK_FULL:
        return _interrupted(run, checkout, started, finished)
    if exit_status == EXIT_DISK_FULL:
        message = "the disk is full, nothing of this run was kept: free some space and give the same command again"
        return Ended(run, _outcome(RunStatus.FAILED, started, finished, "DiskFull", message), stored=False)
    how = f"was killed by signal {-exit_status}" if exit_status < 0 else f"ended with status {exit_status}"
    message = f"the process of this run {how} without a word; log.txt may say more (out of memory is the usual cause)"
    outcome = _outcome(RunStatus.DIED, started, finished, "DeadWorker", message)
    return Ended(run, outcome, stored=_store(run, checkout, outcome))


def not_carried_out(run: Run, status: RunStatus, name: str, message: str) -> Ended:
    """Return the end of a run that never had a process, with the reason."""
    now = utc_now()
    return Ended(run, _outcome(status, now, now, name, message), stored=False)


def _interrupted(run: Run, checkout: Checkout, started: str, finished: str) -> Ended:
    with contextlib.suppress(Timeout, OSError), lock(checkout, run).acquire(timeout=_LOCK_S):
        end_processes(working_folder(checkout, run))  # of a process that had no time to do so itself
    with contextlib.suppress(RunFileError):  # half a run is kept to be looked at, unless a whole one stands there
        outcome = Outcome.load(run.folder(checkout))
        if outcome.status is RunStatus.INTERRUPTED and outcome.started >= started:
            return Ended(run, outcome)
    message = "the batch was stopped before this run was done"
    return Ended(run, _outcome(RunStatus.INTERRUPTED, started, finished, "Interrupted", message), stored=False)


def _outcome(status: RunStatus, started: str, finished: str, name: str, message: str) -> Outcome:
    duration = (datetime.fromisoformat(finished) - datetime.fromisoformat(started)).total_seconds()
    return Outcome(status, started, finished, duration, CellError(None, name, message))


def _store(run: Run, checkout: Checkout, outcome: Outcome) -> bool:
    """Write the outcome in the place of the process that could not, and end what it has left running."""
    folder = working_folder(checkout, run)
    with contextlib.suppress(Timeout, OSError), lock(checkout, run).acquire(timeout=_LOCK_S):
        end_processes(folder)
        folder.mkdir(parents=True, exist_ok=True)
        run.save(folder)
        outcome.save(folder)
        put_in_place(checkout, run)
        return True
    return False
