"""Ends a run from within its own process: at its time limit, on SIGTERM, or when the runner is gone."""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

from lib.batch.orphans import end_processes
from lib.batch.run import RunStatus

EXIT_INTERRUPTED = 4  # exit status of a run's process that was told to end

# Blocked by whoever starts the process, so that a signal that comes before the guard is armed waits for it.
BLOCKED_AT_START = (signal.SIGINT, signal.SIGTERM)

_TICK_S = 0.1
_PATIENCE_S = 20.0  # for the notebook to be closed once its kernel is dead


class Guard:
    """Watches over the process of one run.

    Attributes:
        reason: TIMED_OUT or INTERRUPTED once the guard has ended the run, else None.
    """

    def __init__(self) -> None:
        """Arm the guard; call it in the main thread, which alone may handle signals.

        Until `begin`, when nothing is there to be cleaned up, it ends the process at once.
        """
        self.reason: RunStatus | None = None
        self._folder: Path | None = None
        self._deadline = float("inf")
        self._asked = threading.Event()
        self._over = threading.Event()
        signal.signal(signal.SIGTERM, lambda *_: self._asked.set())
        # Ctrl-C reaches the whole group and the runner alone decides. No SIG_IGN: the kernel would inherit that.
        signal.signal(signal.SIGINT, lambda *_: None)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, BLOCKED_AT_START)
        self._thread = threading.Thread(target=self._watch, args=(_parent_is_gone(),), daemon=True)
        self._thread.start()

    def begin(self, folder: Path, limit_s: float) -> None:
        """Start the clock of a run.

        Args:
            folder: Its working folder, which tells its processes.
            limit_s: Seconds of wall clock from now.
        """
        self._deadline = time.monotonic() + limit_s
        self._folder = folder

    def disarm(self) -> None:
        """Stop watching: the run has ended."""
        self._over.set()
        self._thread.join()

    def _watch(self, parent_is_gone: Callable[[], bool]) -> None:
        while not self._over.wait(_TICK_S):
            if self._asked.is_set() or parent_is_gone():
                self.reason = RunStatus.INTERRUPTED
            elif time.monotonic() > self._deadline:
                self.reason = RunStatus.TIMED_OUT
            if self.reason and self._folder is None:
                os._exit(EXIT_INTERRUPTED)  # still waiting for its turn
            if self.reason:
                return self._end(self._folder)

    def _end(self, folder: Path) -> None:
        patience = time.monotonic() + _PATIENCE_S
        while not self._over.wait(_TICK_S):  # again and again: a kernel may be starting this very moment
            end_processes(folder)
            if time.monotonic() > patience:
                os._exit(1)  # the main thread hangs; whoever started this process writes the outcome


def _parent_is_gone() -> Callable[[], bool]:
    parent = multiprocessing.parent_process()
    if parent is not None:  # started by multiprocessing: our parent by pid is the fork server, not the runner
        return lambda: not parent.is_alive()
    started_by = os.getppid()
    return lambda: os.getppid() != started_by
