"""What is shown while a batch runs: one live line a run and a total in a terminal, plain lines elsewhere.

How far a run is stands in a small file in its working folder, wherever it is carried out.
"""

import contextlib
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

from lib.batch.ended import Ended
from lib.batch.folders import working_folder
from lib.batch.overview import expected_minutes
from lib.batch.plan import Planned
from lib.batch.run import PROGRESS_FILE, RUN_FILE, RunStatus
from lib.checkout import Checkout

if TYPE_CHECKING:
    from rich.text import Text


@dataclass(frozen=True)
class Running:
    """A run that is being carried out.

    Attributes:
        title: The notebook with its parameters.
        seconds: Since it began.
        cells: "7/31" once the first cell has started, else "starting".
    """

    title: str
    seconds: float
    cells: str


def running(checkout: Checkout, waiting: Sequence[Planned]) -> list[Running]:
    """Return those of the runs that have begun, longest first."""
    found = []
    for planned in waiting:
        folder = working_folder(checkout, planned.run)
        with contextlib.suppress(OSError):  # not begun, or ended this instant
            seconds = time.time() - (folder / RUN_FILE).stat().st_mtime
            file = folder / PROGRESS_FILE
            cells = file.read_text() if file.exists() else "starting"
            found.append(Running(planned.run.title, seconds, cells))
    return sorted(found, key=lambda one: -one.seconds)


class Display:
    """Shows a batch as it goes on."""

    def __init__(self, checkout: Checkout, todo: Sequence[Planned], workers: int, out: TextIO = sys.stdout) -> None:
        """Show nothing yet.

        Args:
            checkout: Where the runs' folders are.
            todo: The runs that are not cached.
            workers: How many at once.
            out: A terminal gets live lines, anything else plain ones.
        """
        self._checkout, self._workers, self._out = checkout, workers, out
        self._waiting = {planned.run.key: planned for planned in todo}
        self._total = len(todo)
        self._live = None

    @contextlib.contextmanager
    def shown(self) -> Iterator["Display"]:
        """Show live lines, in a terminal, until the block ends."""
        if not self._out.isatty():
            yield self
            return
        from rich.console import Console
        from rich.live import Live

        with Live(console=Console(file=self._out), get_renderable=self._lines, refresh_per_second=2) as self._live:
            yield self
            self._waiting.clear()  # the last picture that stays is empty
        self._live = None

    def say(self, text: str) -> None:
        """Print a line, above the live ones where there are some."""
        if self._live is not None:
            self._live.console.print(text, markup=False, highlight=False, soft_wrap=True)
        else:
            print(text, file=self._out, flush=True)

    def ended(self, one: Ended) -> None:
        """Tell that a run has ended."""
        self._waiting.pop(one.run.key, None)
        took = "by another batch" if one.cached else f"{one.outcome.duration_s:.1f} s"
        count = f"[{self._total - len(self._waiting)}/{self._total}]"
        self.say(f"{count} {one.run.title}: {_word(one.outcome.status)}, {took}")

    def _lines(self) -> "Text":
        from rich.text import Text

        waiting = list(self._waiting.values())
        if not waiting:
            return Text("")
        now = running(self._checkout, waiting)
        lines = [f"  {one.title}  {_clock(one.seconds)}  cell {one.cells}" for one in now]
        spent = sum(one.seconds for one in now) / 60 / self._workers
        left = max(expected_minutes(waiting, self._workers) - spent, 0)
        done = self._total - len(waiting)
        lines.append(f"{done} of {self._total} done, about {_clock(60 * left)} left")
        return Text("\n".join(lines), overflow="ellipsis", no_wrap=True)


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def _word(status: RunStatus) -> str:
    return status.value if status in (RunStatus.DONE, RunStatus.INTERRUPTED) else status.value.upper()
