"""One run to one page.

Imports nbconvert: import this module where a page has to be built.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lib.batch.report.cells import RECORD, Cells, read_notebook, render_cells
from lib.batch.report.external import external_references
from lib.batch.report.layout import duration, moment, render, words
from lib.batch.report.prose import Heading, Place
from lib.batch.report.provenance import provenance_rows
from lib.batch.run import LOG_FILE, NOTEBOOK_FILE, CellError, Outcome, Run, RunStatus
from lib.checkout import Checkout

_LATE = {RunStatus.TIMED_OUT, RunStatus.INTERRUPTED}  # ended from outside: nothing is wrong with a cell


@dataclass(frozen=True)
class Page:
    """A built page and what the index shows of it.

    Attributes:
        html: The page.
        title: The notebook's H1.
        thumbnail: Its first figure, small, as a `data:` address; "" without one.
        recorded: True if the run left a record and the page shows the cell that made it, at `#record`.
        faults: One sentence a formula that cannot be shown or a reference that would leave the page.
    """

    html: str
    title: str
    thumbnail: str
    recorded: bool
    faults: tuple[str, ...]


@dataclass(frozen=True)
class _View:
    """What the template reads."""

    run: Run
    outcome: Outcome
    index: str
    title: str
    titled: bool
    contents: tuple[Heading, ...]
    cells: str
    recorded: bool
    banner: dict[str, Any] | None
    provenance: list[tuple[str, str]]


def run_page(folder: Path, checkout: Checkout) -> Page:
    """Return the page of a run; a run that failed has one too, with what there is of its notebook.

    Args:
        folder: The run's folder, with run.json and outcome.json.
        checkout: Where it lies.

    Raises:
        RunFileError: run.json or outcome.json is not what a batch writes.
    """
    run, outcome = Run.load(folder), Outcome.load(folder)
    source = run.source(checkout)
    place = Place(source.parent, folder, checkout.notebooks, checkout.index)
    cells, missing, broken = _cells(folder, place, outcome.error.cell if outcome.error else None)
    error = _error(outcome, missing or broken)
    title = next((heading.text for heading in cells.headings if heading.level == 1), "")
    view = _View(
        run,
        outcome,
        index=Path(os.path.relpath(checkout.index, folder)).as_posix(),
        title=title or run.name.replace("_", " "),
        titled=bool(title),
        contents=tuple(heading for heading in cells.headings if heading.level in (2, 3)),
        cells=cells.html,
        recorded=RECORD in cells.anchors and (folder / "record.json").is_file(),
        banner=_banner(error, outcome, cells, missing or broken, (folder / LOG_FILE).is_file()) if error else None,
        provenance=_provenance(run, outcome, folder),
    )
    html = render("run.html.j2", page=view)
    leaving = [f"refers to something outside the page ({each}); embed it" for each in external_references(html)]
    unseen = [broken] if broken else [missing] if missing and outcome.status is RunStatus.DONE else []
    return Page(html, view.title, cells.thumbnail, view.recorded, (*unseen, *cells.faults, *leaving))


def _cells(folder: Path, place: Place, failed: int | None) -> tuple[Cells, str, str]:
    """Return the cells, what is wrong with the notebook's file, and why its cells cannot be shown."""
    none = Cells("", (), (), "", ())
    try:
        notebook = read_notebook(folder / NOTEBOOK_FILE)
    except ValueError as error:
        return none, str(error), ""
    try:
        return render_cells(notebook, place, failed), "", ""
    except Exception as error:  # one odd notebook must not hide all others
        return none, "", f"its cells cannot be shown ({type(error).__name__}: {error})"


def _error(outcome: Outcome, unseen: str) -> CellError | None:
    """Return what the banner says, None if all is well."""
    if outcome.error is None and outcome.status is RunStatus.DONE:
        return CellError(None, "The run is done, but not shown", "") if unseen else None
    return outcome.error or CellError(None, str(outcome.status), "")


def _banner(error: CellError, outcome: Outcome, cells: Cells, missing: str, logged: bool) -> dict[str, Any]:
    known = error.cell is not None and error.cell < len(cells.anchors)
    said = ": ".join(part for part in (error.name, error.message) if part)
    hint = "What ran before it stands below." if cells.anchors else f"No notebook is shown: {missing}."
    return {
        "late": outcome.status in _LATE,
        "anchor": cells.anchors[error.cell] if known and error.cell is not None else "",
        "where": f"cell [{cells.failed}]" if cells.failed else "",
        "said": said,
        "hint": hint,
        "log": LOG_FILE if logged else "",
        "traceback": error.traceback,
    }


def _provenance(run: Run, outcome: Outcome, folder: Path) -> list[tuple[str, str]]:
    rows = [
        ("Notebook", f"notebooks/{run.notebook}.ipynb"),
        ("Profile", run.profile),
        ("Threads", f"{run.threads}" + (f", {words(run.gpus, 'GPU')}" if run.gpus else "")),
        ("Started", moment(outcome.started)),
        ("Duration", f"{duration(outcome.duration_s)} of at most {duration(run.limit_s)}"),
        ("Key of the run", run.key),
    ]
    try:
        stored = json.loads((folder / "record.json").read_text(encoding="utf-8"))["provenance"]
    except (OSError, ValueError, KeyError, TypeError):
        return [*rows, ("Record", "none: commit, device and versions are kept with a record")]
    return rows + provenance_rows(stored)
