"""The board of claims as the index shows it: one row a claim, and how many claims have which verdict."""

from collections import Counter
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from markupsafe import Markup

from lib.batch.report.layout import number
from lib.batch.report.marks import drawing

if TYPE_CHECKING:
    from lib.ledger.boards import Board, FreshVerdict, Row

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
class FreshView:
    """What was measured just now."""

    verdict: str
    reason: str
    measured: Measured
    scale: str
    links: tuple[Link, ...]


@dataclass(frozen=True)
class ClaimView:
    """One claim as the index shows it; `order` counts the rows, `rank` the verdicts."""

    row: "Row"
    order: int
    rank: int
    measured: Measured
    paper: str
    drawing: Markup
    links: tuple[Link, ...]
    fresh: FreshView | None


@dataclass(frozen=True)
class PaperCount:
    """How many of a paper's claims have which verdict, in the order of `VERDICTS`."""

    paper: str
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


def paper_counts(board: "Board") -> list[PaperCount]:
    """Return the counts of each paper, in the order of the board."""
    found: dict[str, Counter] = {}
    for row in board.rows:
        found.setdefault(row.paper, Counter())[str(row.verdict)] += 1
    return [PaperCount(paper, tuple(counts[verdict] for verdict in VERDICTS)) for paper, counts in found.items()]


def _claim(row: "Row", order: int, record_pages: dict[str, str], run_pages: dict[str, str]) -> ClaimView:
    paper = row.paper_value if isinstance(row.paper_value, int | float) else None
    records = [Link(_record_words(path), record_pages[path]) for path in row.records if path in record_pages]
    runs = [Link("its run", run_pages[path]) for path in row.records if path in run_pages]
    return ClaimView(
        row,
        order,
        VERDICTS.index(str(row.verdict)),
        _measured(row.measured, row.interval, row.unit),
        _paper(row.paper_value, row.unit),
        drawing(row.measured, row.interval, paper),
        (*_numbered(records, "record"), *_numbered(runs, "run")),
        _fresh(row.fresh, row.unit, run_pages) if row.fresh else None,
    )


def _fresh(fresh: "FreshVerdict", unit: str, run_pages: dict[str, str]) -> FreshView:
    links = [Link("", run_pages[folder]) for folder in fresh.runs if folder in run_pages]
    scale = ", ".join(part for part in (fresh.model, fresh.profile) if part)
    measured = _measured(fresh.measured, fresh.interval, unit)
    return FreshView(str(fresh.verdict), fresh.reason, measured, scale, _numbered(links, "run"))


def _measured(value: float | None, interval: tuple[float, float] | None, unit: str) -> Measured:
    low_to_high = f"{number(interval[0])} to {number(interval[1])}" if interval else ""
    return Measured("" if value is None else _with_unit(number(value), unit), low_to_high)


def _paper(value: float | tuple[float, ...] | None, unit: str) -> str:
    if value is None:
        return ""
    values = value if isinstance(value, tuple) else (value,)
    return _with_unit(", ".join(number(each) for each in values), unit)


def _with_unit(text: str, unit: str) -> str:
    return f"{text}\u00a0{unit}" if unit else text


def _record_words(path: str) -> str:
    return PurePosixPath(path).stem


def _numbered(links: list[Link], word: str) -> tuple[Link, ...]:
    """Name links 'record' or, if there are several, 'record 1', 'record 2'."""
    several = len(links) > 1
    return tuple(Link(f"{word} {index}" if several else word, link.address) for index, link in enumerate(links, 1))
