"""Where runs are carried out: the seam `submit(run) -> Future`, and its default, processes of this machine.

Each run has a fresh process, forked from a server that has papermill loaded already (50 ms instead of 1.5 s), or
spawned where there is no fork server. One thread starts them, waits for them and ends them.
"""

import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from typing import Protocol

from lib.batch.ended import Ended, ended
from lib.batch.guard import BLOCKED_AT_START
from lib.batch.run import Run, utc_now
from lib.batch.worker import work
from lib.checkout import Checkout

GRACE_S = 30.0  # for a run's process to end its kernel and write its outcome, before it is killed itself
_PRELOADED = ["papermill.execute", "lib.batch.worker", "lib.batch.execute", "lib.batch.environment", "lib.batch.gpu"]
_TICK_S = 0.5


class Pool(Protocol):
    """Carries out runs."""

    def submit(self, run: Run) -> "Future[Ended]":
        """Carry out a run when its turn comes; the future is cancelled if the pool is stopped before."""

    def stop(self) -> None:
        """End what runs, cancel what waits; returns at once."""

    def close(self) -> None:
        """Wait until everything has ended, and let go."""


@dataclass
class _Job:
    run: Run
    future: "Future[Ended]"
    process: BaseProcess | None = None
    started: str = ""
    limit: float = float("inf")  # on the monotonic clock, when the process is killed
    stopped: bool = False


class LocalPool:
    """A bounded number of processes on this machine: one run a worker, and as many workers a run as it has threads.

    Two threads on a core that another run is using cost far more than half of it. The order stays: a run that needs
    more workers than are free is waited for.
    """

    def __init__(self, checkout: Checkout, workers: int, since: str = "") -> None:
        """Start with no process.

        Args:
            checkout: Where the runs' folders go.
            workers: How many runs of one thread at once.
            since: See `worker.work`.
        """
        self._checkout, self._workers, self._since = checkout, workers, since
        self._context = _context()
        self._waiting: deque[_Job] = deque()
        self._running: list[_Job] = []
        self._stopping = self._closing = False
        self._woken, self._wake = os.pipe()
        self._thread = threading.Thread(target=self._serve, name="runs")
        self._thread.start()

    def submit(self, run: Run) -> "Future[Ended]":
        """Carry out a run when its turn comes."""
        job = _Job(run, Future())
        self._waiting.append(job)
        self._rouse()
        return job.future

    def stop(self) -> None:
        """End what runs, cancel what waits; returns at once."""
        self._stopping = True
        self._rouse()

    def close(self) -> None:
        """Wait until everything has ended, and let go."""
        self._closing = True
        self._rouse()
        self._thread.join()
        os.close(self._woken)
        os.close(self._wake)

    def _rouse(self) -> None:
        os.write(self._wake, b".")

    def _serve(self) -> None:
        resource_tracker.ensure_running()  # before the next line: starting it unblocks these signals
        signal.pthread_sigmask(signal.SIG_BLOCK, BLOCKED_AT_START)  # the processes inherit that; the main thread hears
        while self._waiting or self._running or not self._closing:
            if self._stopping:
                self._end_all()
            while self._waiting and self._fits(self._waiting[0].run):
                self._start(self._waiting.popleft())
            sentinels = [job.process.sentinel for job in self._running]
            if self._woken in wait([self._woken, *sentinels], timeout=_TICK_S):
                os.read(self._woken, 4096)
            for job in [job for job in self._running if not job.process.is_alive()]:
                self._running.remove(job)
                self._settle(job)
            for job in self._running:
                if time.monotonic() > job.limit:
                    job.process.kill()

    def _fits(self, run: Run) -> bool:
        taken = sum(job.run.workers(self._workers) for job in self._running)
        return taken + run.workers(self._workers) <= self._workers

    def _start(self, job: _Job) -> None:
        if not job.future.set_running_or_notify_cancel():
            return
        try:
            job.process = self._context.Process(
                target=work, args=(job.run, self._checkout.root, self._since), name=job.run.title, daemon=True
            )
            job.started = utc_now()
            job.process.start()
        except Exception as error:  # no process to be had: memory, a system's limit, a fork server that was killed
            job.future.set_exception(error)
            return
        self._running.append(job)

    def _settle(self, job: _Job) -> None:
        job.process.join()
        try:
            status = job.process.exitcode
            job.future.set_result(ended(job.run, self._checkout, status, job.started, utc_now(), job.stopped))
        except Exception as error:  # must not end this thread: the other runs depend on it
            job.future.set_exception(error)
        job.process.close()

    def _end_all(self) -> None:
        while self._waiting:
            future = self._waiting.popleft().future
            future.cancel()
            future.set_running_or_notify_cancel()  # `wait` learns of a cancellation only through this
        for job in self._running:
            if not job.stopped:
                job.stopped, job.limit = True, time.monotonic() + GRACE_S
                job.process.terminate()


def _context() -> multiprocessing.context.BaseContext:
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_PRELOADED)
    return context
