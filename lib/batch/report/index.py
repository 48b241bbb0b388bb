"""The page that opens the reports: the board of claims, the runs, the machine."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lib.batch.report.claim_rows import VERDICTS, claim_rows, paper_counts
from lib.batch.report.layout import render
from lib.batch.report.run_rows import BuiltRun, profile_views
from lib.checkout import Checkout

if TYPE_CHECKING:
    from lib.ledger.boards import Board


@dataclass(frozen=True)
class Pages:
    """What the index can link to.

    Attributes:
        runs: Runs with a page.
        records: Address of a record's page, relative to the index, by the record's path, relative to the root.
        measured_by: Folder of the run here that gave a committed record, by the record's path, relative to the root.
        faults: What is wrong with pages, one sentence each.
    """

    runs: list[BuiltRun]
    records: dict[str, str]
    measured_by: dict[str, str]
    faults: tuple[str, ...] = ()


def index_page(board: "Board", pages: Pages, checkout: Checkout, profile: str) -> str:
    """Return the index.

    Args:
        board: The verdicts.
        pages: What there is to link to.
        checkout: Where batches left their summaries.
        profile: The profile to show first.
    """
    cells = {each.folder: f"{each.page}#record" for each in pages.runs if each.recorded}
    cells |= {record: cells[folder] for record, folder in pages.measured_by.items() if folder in cells}
    profiles = profile_views(checkout, pages.runs, profile)
    return render(
        "index.html.j2",
        claims=claim_rows(board, pages.records, cells),
        counts=paper_counts(board, checkout),
        verdicts=VERDICTS,
        faults=[*(str(fault) for fault in board.faults), *pages.faults],
        profiles=profiles,
        wanted=profile,
        machine=next((each for each in profiles if each.machine), None),
    )
