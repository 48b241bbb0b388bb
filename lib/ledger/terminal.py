"""The board in a terminal: 100 columns are enough, and a pipe gets the same without colours."""

import sys
from typing import TYPE_CHECKING, TextIO

from lib.ledger.claim import Status
from lib.ledger.digits import paper_text
from lib.ledger.views import measured_text, to_line, verdict_text

if TYPE_CHECKING:
    from rich.text import Text

    from lib.ledger.boards import Board, Row

_WIDTH = 100
_STYLES = {
    Status.HOLDS: "bold green",
    Status.HOLDS_IN_DIRECTION: "green",
    Status.FAILS: "bold red",
    Status.INCONCLUSIVE: "yellow",
    Status.NOT_MEASURED: "dim",
}


def print_board(board: "Board", stream: TextIO | None = None) -> None:
    """Print the rows, what was measured just now, and what is wrong.

    Args:
        board: What to print.
        stream: Where to; standard output by default.
    """
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    stream = stream or sys.stdout
    console = Console(file=stream, width=None if stream.isatty() else _WIDTH, highlight=False)
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_lines=False)
    table.add_column("Claim", no_wrap=True)
    table.add_column("Verdict", min_width=12, max_width=18)
    table.add_column("Measured (95 %)", min_width=12, max_width=24)
    table.add_column("Paper", max_width=14)
    table.add_column("The claim, and why this verdict", ratio=1)
    for row in board.rows:
        table.add_row(row.id, _verdict(row), _measured(row), paper_text(row.paper_value), _explanation(row))
    console.print(table if board.rows else "No claims: no room of lib has a claims.py.")
    console.print(to_line(board) + ".", markup=False)
    for fault in board.faults:
        console.print(f"! {fault}", style="red", markup=False)


def _verdict(row: "Row") -> "Text":
    from rich.text import Text

    return Text(verdict_text(row), style=_STYLES[row.verdict])


def _measured(row: "Row") -> str:
    return "–" if row.measured is None else measured_text(row)


def _explanation(row: "Row") -> "Text":
    from rich.text import Text

    text = Text(row.claim)
    details = [row.reason]
    if row.records:
        details.append(f"{row.profile}, {row.model}, {len(row.records)} record{'s' if len(row.records) != 1 else ''}")
    details += [f"stale: {', '.join(row.stale)} changed since"] * bool(row.stale)
    details += row.notes
    for detail in details:
        text.append(f"\n{detail}", style="dim")
    if row.fresh:
        text.append(f"\njust now ({row.fresh.profile}): {row.fresh.verdict.value}: {row.fresh.reason}", style="cyan")
    return text
