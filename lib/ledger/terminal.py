"""The board in a terminal: 100 columns are enough, and a pipe gets the same without colours."""

import os
import sys
from typing import TYPE_CHECKING, TextIO

from lib.ledger.claim import Status
from lib.ledger.digits import paper_text
from lib.ledger.views import evidence_text, measured_text, to_line, verdict_text

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

    from lib.ledger.boards import Board, Row

_WIDTH = 100
_VERDICT = len("holds in direction (stale)")
_STYLES = {
    Status.HOLDS: "bold green",
    Status.HOLDS_IN_DIRECTION: "green",
    Status.FAILS: "bold red",
    Status.INCONCLUSIVE: "yellow",
    Status.NOT_MEASURED: "dim",
}


def print_board(board: "Board", stream: TextIO | None = None) -> None:
    """Print the claims one below the other, how many have which verdict, and what is wrong.

    Args:
        board: What to print.
        stream: Where to; standard output by default.
    """
    from rich.console import Console
    from rich.padding import Padding

    stream = stream or sys.stdout
    width = None if stream.isatty() or "COLUMNS" in os.environ else _WIDTH
    console = Console(file=stream, width=width, highlight=False, markup=False)
    widest = max((len(row.id) for row in board.rows), default=0)
    for row in board.rows:
        console.print(_head(row, widest))
        console.print(Padding(_explanation(row), (0, 0, 1, 2)))
    console.print(f"{to_line(board)}." if board.rows else "No claims.")
    for fault in board.faults:
        console.print(f"! {fault}", style="red")


def _head(row: "Row", widest: int) -> "Table":
    from rich.table import Table
    from rich.text import Text

    line = Table.grid(padding=(0, 2, 0, 0), expand=True)
    line.add_column(width=widest)
    line.add_column(width=_VERDICT)
    line.add_column(ratio=1)
    line.add_column(ratio=1)
    measured = "" if row.measured is None else measured_text(row)
    paper = "" if row.paper_value is None else f"paper: {paper_text(row.paper_value)} {row.paper_unit}".rstrip()
    verdict = Text(verdict_text(row), style=_STYLES[row.verdict])
    line.add_row(Text(row.id, style="bold"), verdict, Text(measured), Text(paper))
    return line


def _explanation(row: "Row") -> "Text":
    from rich.text import Text

    details = [row.reason]
    if row.records:
        details.append(f"{row.model}, {evidence_text(row)}")
    details += [f"stale: {', '.join(row.stale)} changed since"] * bool(row.stale)
    details += row.notes
    text = Text(row.claim)
    for detail in details:
        text.append(f"\n{detail}", style="dim")
    if row.fresh:
        when = f"{row.fresh.started[:10]}, profile {row.fresh.profile}"
        text.append(f"\nmeasured here {when}: {row.fresh.verdict.value}: {row.fresh.reason}", style="cyan")
    return text
