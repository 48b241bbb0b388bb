"""How a batch that was run again compares with the first time, as a table in a terminal."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TextIO

from lib.ledger.compare import Difference
from lib.ledger.digits import four_digits

_WIDTH = 100


@dataclass(frozen=True)
class Comparison:
    """One run and its repetition.

    Attributes:
        title: The notebook and its parameters.
        source: Where the earlier record is, relative to the root; "" if there is none.
        metrics: How many numbers, texts and flags were compared, timings left out.
        differences: Those that differ, timings too.
        trouble: Why there is nothing to compare, "" if there is.
    """

    title: str
    source: str
    metrics: int = 0
    differences: tuple[Difference, ...] = ()
    trouble: str = ""

    @property
    def is_amiss(self) -> bool:
        """Whether something but a timing moved, or could not be compared."""
        return bool(self.trouble) or any(not each.timing for each in self.differences)


def print_comparisons(comparisons: Sequence[Comparison], stream: TextIO | None = None) -> None:
    """Print what moved, then the timings, then a sum.

    Args:
        comparisons: One a run.
        stream: Where to; standard output by default.
    """
    from rich.console import Console

    stream = stream or sys.stdout
    console = Console(file=stream, width=None if stream.isatty() else _WIDTH, highlight=False, markup=False)
    for timing, title in ((False, "Moved"), (True, "Timings, which differ every time")):
        rows = [(each, one) for each in comparisons for one in each.differences if one.timing is timing]
        if rows:
            console.print(_table(title, rows))
    for each in comparisons:
        if each.trouble:
            console.print(f"{each.title}: {each.trouble}")
    console.print(_sum(comparisons))


def _sum(comparisons: Sequence[Comparison]) -> str:
    moved = sum(not one.timing for each in comparisons for one in each.differences)
    total = sum(each.metrics for each in comparisons)
    folders = sorted({"/".join(each.source.split("/")[:2]) for each in comparisons if each.source})
    runs = f"{len(comparisons)} run{'s' if len(comparisons) != 1 else ''} measured again"
    against = f" against {' and '.join(folders)}" if folders else ""
    return f"{runs}{against}: {moved or 'none'} of {total} metrics moved."


def _table(title: str, rows: Sequence[tuple[Comparison, Difference]]) -> object:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for name in ("Run", "Metric", "Before", "After", "Difference", "Relative"):
        table.add_column(name, overflow="fold", justify="left" if name in ("Run", "Metric") else "right")
    last = ""
    for each, one in rows:
        relative = "–" if one.relative is None else f"{100 * one.relative:+.3g} %"
        numbers = (_text(one.before), _text(one.after), four_digits(one.absolute), relative)
        table.add_row(*(Text(cell) for cell in ("" if each.title == last else each.title, one.name, *numbers)))
        last = each.title
    return table


def _text(value: object) -> str:
    return f"{value:.10g}" if isinstance(value, float) else "–" if value is None else str(value)
