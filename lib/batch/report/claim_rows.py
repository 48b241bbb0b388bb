"""The board of claims as the index shows it: one row a claim, and how many claims have which verdict."""

import ast
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from markupsafe import Markup

from lib.batch.report.layout import number
from lib.batch.report.marks import drawing
from lib.checkout import Checkout

if TYPE_CHECKING:
    from lib.ledger.boards import Board, FreshVerdict, Row

_PAPER_DIGITS = 6  # a paper's number is shown as it stands there
_LONG_REASON = 500  # characters; a longer one is a list that opens
# From good news to none; the order of the filters, of the summary and of sorting by verdict.
VERDICTS = ("holds", "holds in direction", "inconclusive", "fails", "not measured")


@dataclass(frozen=True)
class Link:
    """A link from the index: its words and its address."""

    words: str
    address: str


@dataclass(frozen=True)
class Measured:
    """A measured number as text: the number with its unit, its interval, both possibly "" ."""

    number: str
    interval: str


@dataclass(frozen=True)
class Reason:
    """Why a verdict is what it is: a line, and where all of it is long, what was found as a list."""

    line: str
    findings: tuple[str, ...] = ()

    @classmethod
    def of(cls, text: str) -> "Reason":
        """Take a long reason apart: "what it comes to. finding; finding", or the findings alone."""
        if len(text) <= _LONG_REASON:
            return cls(text)
        line, stop, rest = text.partition(". ")
        findings = tuple((rest if stop else text).split("; "))
        return cls(f"{line}." if stop else findings[0], findings)


@dataclass(frozen=True)
class FreshView:
    """What was measured just now."""

    verdict: str
    reason: Reason
    measured: Measured
    scale: str
    links: tuple[Link, ...]


@dataclass(frozen=True)
class ClaimView:
    """One claim as the index shows it; `order` counts the rows, `rank` the verdicts."""

    row: "Row"
    order: int
    rank: int
    reason: Reason
    measured: Measured
    paper: str
    drawing: Markup
    links: tuple[Link, ...]
    fresh: FreshView | None


@dataclass(frozen=True)
class PaperCount:
    """How many of a paper's claims have which verdict, in the order of `VERDICTS`; `about` names the paper."""

    paper: str
    about: str
    counts: tuple[int, ...]

    @property
    def total(self) -> int:
        """All of its claims."""
        return sum(self.counts)


def claim_rows(board: "Board", record_pages: dict[str, str], run_pages: dict[str, str]) -> list[ClaimView]:
    """Return the rows of the board.

    Args:
        board: From the ledger.
        record_pages: Address of a committed record's page by the record's path, relative to the root.
        run_pages: Address of the cell that recorded by the run's folder, and by the path of the committed record that
            the same run gave, both relative to the root.
    """
    return [_claim(row, order, record_pages, run_pages) for order, row in enumerate(board.rows)]


def paper_counts(board: "Board", checkout: Checkout) -> list[PaperCount]:
    """Return the counts of each paper, in the order of the board, with the first sentence that its room says of it."""
    found: dict[str, Counter] = {}
    for row in board.rows:
        found.setdefault(row.paper, Counter())[str(row.verdict)] += 1
    return [
        PaperCount(paper, _about(checkout.lib / paper / "__init__.py"), tuple(counts[verdict] for verdict in VERDICTS))
        for paper, counts in found.items()
    ]


def _claim(row: "Row", order: int, record_pages: dict[str, str], run_pages: dict[str, str]) -> ClaimView:
    paper = row.paper_value if isinstance(row.paper_value, int | float) else None
    records = [record_pages[path] for path in row.records if path in record_pages]
    runs = [run_pages[path] for path in row.records if path in run_pages]
    return ClaimView(
        row,
        order,
        VERDICTS.index(str(row.verdict)),
        Reason.of(row.reason),
        _measured(row.measured, row.interval, row),
        _paper(row.paper_value, row.paper_unit),
        drawing(row.measured, row.interval, paper),
        (*_numbered(records, "record"), *_numbered(runs, "run")),
        _fresh(row.fresh, row, run_pages) if row.fresh else None,
    )


def _about(room: Path) -> str:
    """Return the first line of a room's docstring; the room is not imported."""
    try:
        docstring = ast.get_docstring(ast.parse(room.read_text(encoding="utf-8"))) or ""
    except (OSError, SyntaxError, ValueError):
        return ""
    return docstring.partition("\n")[0].strip()


def _fresh(fresh: "FreshVerdict", row: "Row", run_pages: dict[str, str]) -> FreshView:
    links = [run_pages[folder] for folder in fresh.runs if folder in run_pages]
    scale = ", ".join(part for part in (fresh.model, fresh.profile) if part)
    measured = _measured(fresh.measured, fresh.interval, row)
    return FreshView(str(fresh.verdict), Reason.of(fresh.reason), measured, scale, _numbered(links, "run"))


def _measured(value: float | None, interval: tuple[float, float] | None, row: "Row") -> Measured:
    digits = _digits(row.paper_value)
    low_to_high = " to ".join(number(end, digits) for end in interval) if interval else ""
    return Measured("" if value is None else _with_unit(number(value, digits), row.unit), low_to_high)


def _digits(paper_value: float | tuple[float, ...] | None) -> int:
    """Return four digits, or as many as the paper gives: 1.0073 is to be compared with 1.0073."""
    if not isinstance(paper_value, float):
        return 4
    return max(4, len(f"{abs(paper_value):.{_PAPER_DIGITS}g}".replace(".", "").lstrip("0")))


def _paper(value: float | tuple[float, ...] | None, unit: str) -> str:
    if value is None:
        return ""
    values = value if isinstance(value, tuple) else (value,)
    return _with_unit(", ".join(number(each, _PAPER_DIGITS) for each in values), unit)


def _with_unit(text: str, unit: str) -> str:
    space = "\u00a0" if len(unit) <= 2 else " "  # a long unit may stand below its number
    return f"{text}{space}{unit}" if unit else text


def _numbered(addresses: list[str], word: str) -> tuple[Link, ...]:
    """Name links 'record' or, if there are several, 'record 1', 'record 2'."""
    several = len(addresses) > 1
    return tuple(Link(f"{word} {each}" if several else word, address) for each, address in enumerate(addresses, 1))
