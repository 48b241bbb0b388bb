"""One batch from its plan to its last line: plan, carry out, sum up, build the report."""

import contextlib
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from lib.batch import gpu
from lib.batch.ended import Ended, not_carried_out
from lib.batch.folders import sweep
from lib.batch.live import Display
from lib.batch.overview import overview
from lib.batch.plan import QUICK, Planned, make_plan
from lib.batch.pool import LocalPool, Pool
from lib.batch.run import RunStatus, utc_now
from lib.batch.summary import closing_words, save_summary
from lib.checkout import Checkout

ReportBuilder = Callable[[Checkout, str], Path]

_TICK_S = 0.5


@dataclass(frozen=True)
class Order:
    """What is asked of a batch.

    Attributes:
        profile: Which profile of the papers' batch.yaml.
        paper: One paper, or None for all.
        only: Pattern for notebooks' names, or None for all.
        workers: How many runs at once.
        fresh: True to run again what is done already.
        dask: Address of a Dask scheduler, "local", or None for processes of this machine.
    """

    profile: str = QUICK
    paper: str | None = None
    only: str | None = None
    workers: int = 2
    fresh: bool = False
    dask: str | None = None


@dataclass
class _Stop:
    """The signal that asked for an end, or 0."""

    signal: int = 0


def plan_batch(order: Order, checkout: Checkout) -> None:
    """Print what a batch would do.

    Raises:
        PlanError: It cannot be planned as asked.
    """
    plan = _plan(order, checkout, gpu.name())
    for planned in plan:
        state = "done already" if planned.cached else f"about {60 * planned.minutes:.0f} s"
        print(f"  {planned.run.title}: {state}")
    print(overview(checkout, plan, order.workers))


def run_batch(order: Order, checkout: Checkout, build_report: ReportBuilder | None = None) -> int:
    """Run a batch and build its report.

    A script of yours that calls this needs the usual `if __name__ == "__main__":`, since it starts processes.

    Args:
        order: What is asked.
        checkout: Where the notebooks are.
        build_report: Builds the pages and returns the index; None takes `lib.batch.report`.

    Returns:
        The exit status: 0 if all runs are done, 1 if one is not, 130 after Ctrl-C, 143 after SIGTERM.

    Raises:
        PlanError: It cannot be planned as asked; nothing was started.
    """
    checkout = Checkout(checkout.root.resolve())
    started = utc_now()
    plan = _plan(order, checkout, gpu.name())
    with _signals() as stop, _pool(order, checkout, started) as pool:
        if order.dask and any(planned.run.gpus for planned in plan):
            plan = _plan(order, checkout, pool.gpu_name)  # the device that counts is the cluster's
        print(overview(checkout, plan, order.workers), flush=True)
        if swept := sweep(checkout):
            print(f"ended {swept} processes that an earlier batch had left behind", flush=True)
        fresh = _carry_out(order, checkout, pool, plan, stop)
    everything = [*(Ended(one.run, one.cached, cached=True) for one in plan if one.cached), *fresh]
    save_summary(checkout, order.profile, order.workers, plan, everything, started)
    interrupted = stop.signal and any(one.outcome.status is RunStatus.INTERRUPTED for one in fresh)
    built = interrupted or _report(checkout, order.profile, build_report)
    print(closing_words(checkout, everything), flush=True)
    if interrupted:
        print("Stopped. What is done is kept: the same command goes on from here.", flush=True)
        return 128 + stop.signal
    return 0 if built and all(one.outcome.status is RunStatus.DONE for one in everything) else 1


def _plan(order: Order, checkout: Checkout, gpu_name: str | None) -> list[Planned]:
    if order.dask and gpu_name is None:
        gpu_name = "a GPU of the cluster"
    return make_plan(checkout, order.profile, order.paper, order.only, order.fresh, gpu_name)


@contextlib.contextmanager
def _pool(order: Order, checkout: Checkout, started: str) -> Iterator[Pool]:
    since = started if order.fresh else ""
    if order.dask:
        from lib.batch.cluster import DaskPool

        pool = DaskPool(checkout, order.dask, order.workers, since)
    else:
        pool = LocalPool(checkout, order.workers, since)
    try:
        yield pool
    except BaseException:
        pool.stop()
        raise
    finally:
        pool.close()


@contextlib.contextmanager
def _signals() -> Iterator[_Stop]:
    """Turn Ctrl-C and SIGTERM into a note that the loop looks at, so that nothing is cut off halfway."""
    stop = _Stop()

    def note(number: int, _frame: FrameType | None) -> None:
        stop.signal = number

    previous = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _carry_out(order: Order, checkout: Checkout, pool: Pool, plan: Sequence[Planned], stop: _Stop) -> list[Ended]:
    # Longest first: the last ones to end are then short, and no worker waits long for the others.
    todo = sorted((one for one in plan if one.cached is None), key=lambda one: -one.minutes)
    display = Display(checkout, todo, order.workers)
    found: list[Ended] = []
    stopped = False
    with display.shown():
        futures = {pool.submit(one.run): one for one in todo}
        while futures:
            if stop.signal and not stopped:
                stopped = True
                display.say("Stopping: ending what runs, a few seconds …")
                pool.stop()
            done, _ = wait(futures, timeout=_TICK_S, return_when=FIRST_COMPLETED)
            for future in done:
                found.append(_ended(future, futures.pop(future)))
                display.ended(found[-1])
    return found


def _ended(future: "Future[Ended]", planned: Planned) -> Ended:
    try:
        return future.result()
    except CancelledError:
        return not_carried_out(planned.run, RunStatus.INTERRUPTED, "Interrupted", "the batch was stopped before")
    except Exception as error:  # the pool could not carry it out: a lost cluster, no memory for a process
        return not_carried_out(planned.run, RunStatus.FAILED, type(error).__name__, str(error))


def _report(checkout: Checkout, profile: str, build_report: ReportBuilder | None) -> bool:
    try:
        if build_report is None:
            from lib.batch.report import build_report
        index = build_report(checkout, profile)
    except Exception as error:  # the results stand, whatever became of their pages
        print(f"Trouble with the report ({type(error).__name__}): {error}\nThe results are kept.", flush=True)
        return False
    print(f"Report: {checkout.relative(index)}", flush=True)
    return True
