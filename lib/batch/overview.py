"""What a batch is about to do, said before it starts: runs, minutes and disk."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lib.batch.errors import PlanError
from lib.batch.plan import Planned
from lib.checkout import Checkout

_USUAL_RUN_MB = 2.0  # an executed notebook with figures, and its page
_SPARE_MB = 100.0


@dataclass(frozen=True)
class Overview:
    """The size of a batch.

    Attributes:
        runs: All of its runs.
        cached: Those whose result stands already.
        minutes: Expected minutes of wall clock for the others.
        needed_mb: Disk that they are expected to take, in 10⁶ bytes.
        free_mb: Disk that is free.
    """

    runs: int
    cached: int
    minutes: float
    needed_mb: float
    free_mb: float

    def __str__(self) -> str:
        todo = self.runs - self.cached
        cost = f", about {_minutes(self.minutes)}, {self.needed_mb:.0f} MB of disk" if todo else ""
        return f"{self.runs} runs: {self.cached} done already, {todo} to do{cost} ({self.free_mb / 1000:.1f} GB free)"


def overview(checkout: Checkout, plan: Sequence[Planned], workers: int) -> Overview:
    """Return the size of a batch.

    Args:
        checkout: Where its results go.
        plan: Its runs.
        workers: How many of them at once.

    Raises:
        PlanError: The disk has no room for it.
    """
    todo = [planned for planned in plan if planned.cached is None]
    minutes = expected_minutes(todo, workers)
    needed = len(todo) * _run_mb(checkout, plan)
    free = shutil.disk_usage(_existing(checkout.runs)).free / 1e6
    if todo and free < needed + _SPARE_MB:
        wanted = f"about {needed:.0f} MB and {_SPARE_MB:.0f} MB to spare"
        raise PlanError(f"{free:.0f} MB are free on the disk of {checkout.runs}, the batch takes {wanted}; free some")
    return Overview(len(plan), len(plan) - len(todo), minutes, needed, free)


def expected_minutes(todo: Sequence[Planned], workers: int) -> float:
    """Return the minutes that some runs take together: the longest, or the workers' minutes shared out."""
    if not todo:
        return 0.0
    each = [planned.minutes for planned in todo]
    busy = [planned.minutes * planned.run.workers(workers) for planned in todo]
    return max(max(each), sum(busy) / workers)


def _run_mb(checkout: Checkout, plan: Sequence[Planned]) -> float:
    """Return the mean size of the plan's runs that stand already, or what a run usually takes."""
    folders = [one.run.folder(checkout) for one in plan if one.cached]
    sizes = [path.stat().st_size for folder in folders for path in folder.rglob("*") if path.is_file()]
    return sum(sizes) / 1e6 / len(folders) if folders else _USUAL_RUN_MB


def _existing(path: Path) -> Path:
    return path if path.exists() else _existing(path.parent)


def _minutes(minutes: float) -> str:
    return f"{minutes:.0f} min" if minutes >= 2 else f"{60 * minutes:.0f} s"
