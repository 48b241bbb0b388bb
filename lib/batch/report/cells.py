"""The cells of an executed notebook as HTML, through nbconvert with a template of our own.

Imports nbconvert: import this module where a page has to be built.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
from nbconvert.exporters.templateexporter import TemplateExporter
from nbformat import NotebookNode
from traitlets.config import Config

from lib.batch.cell_numbers import cell_number
from lib.batch.report.code import highlighted
from lib.batch.report.figures import described, png_size, thumbnail
from lib.batch.report.long_outputs import cut_long_outputs
from lib.batch.report.prose import Heading, Place, Prose

RECORD = "record"  # the id of the cell that a verdict links to
_TEMPLATES = Path(__file__).parent / "templates"
_RECORDS = re.compile(r"^[^#\n]*\bledger\.record\(", re.MULTILINE)
_MARKER = "papermill-error-cell-tag"  # papermill's own notes about a failure; the page has a better one
# Widgets and scripts need what a page without requests has not; their plain text is shown instead.
_SHOWN = ["text/html", "text/markdown", "image/svg+xml", "text/latex", "image/png", "image/jpeg", "text/plain"]


@dataclass(frozen=True)
class Cells:
    """A notebook, rendered.

    Attributes:
        html: All cells.
        headings: For the list of contents.
        anchors: The id of each cell, by its index.
        thumbnail: The first figure as a small picture in a `data:` address, or "".
        faults: One sentence a formula that could not be shown.
        failed: The number that JupyterLab shows beside the failed cell, or None.
    """

    html: str
    headings: tuple[Heading, ...]
    anchors: tuple[str, ...]
    thumbnail: str
    faults: tuple[str, ...]
    failed: int | None = None


def read_notebook(path: Path) -> NotebookNode:
    """Return an executed notebook without the cells that papermill adds to report a failure.

    Raises:
        ValueError: The file is missing or is no notebook.
    """
    try:
        notebook = nbformat.read(path, as_version=4)
    except Exception as error:  # nbformat raises whatever its reader met
        raise ValueError(f"{path.name} cannot be read: {error}") from error
    notebook.cells = [cell for cell in notebook.cells if _MARKER not in cell.metadata.get("tags", [])]
    return notebook


def render_cells(notebook: NotebookNode, place: Place, failed: int | None = None) -> Cells:
    """Return a notebook's cells as HTML.

    Args:
        notebook: From `read_notebook`.
        place: Where it comes from and where its page will stand.
        failed: Index of the cell that ended the run, marked in the page.
    """
    anchors = _anchors(notebook)
    for index, cell in enumerate(notebook.cells):
        cut_long_outputs(cell)
        cell.metadata["page"] = _about(cell, anchors[index], index == failed)
    prose = Prose(place)
    exporter = _Exporter(prose, place)
    html, _ = exporter.from_notebook_node(notebook)
    number = None if failed is None else cell_number(notebook.cells, failed)
    return Cells(html, tuple(prose.headings), anchors, thumbnail(notebook.cells), tuple(prose.faults), number)


class _Exporter(TemplateExporter):
    """nbconvert's machinery with our template: no style sheet, font or script of another place."""

    output_mimetype = "text/html"

    def __init__(self, prose: Prose, place: Place) -> None:
        self._prose, self._place = prose, place
        config = Config({"NbConvertBase": {"display_data_priority": _SHOWN}})
        super().__init__(
            config=config,
            template_name="notebook",
            template_file="index.html.j2",
            extra_template_basedirs=[str(_TEMPLATES)],
            default_preprocessors=[],  # none is wanted, and to load them takes longer than to build a page
        )

    def default_filters(self) -> Any:  # noqa: ANN401 - nbconvert's own signature
        yield from super().default_filters()
        yield ("prose", self._markdown)
        yield ("formula", self._formula)
        yield ("relink", self._place.relink)
        yield ("highlighted", highlighted)
        yield ("described", self._described)
        yield ("png_size", png_size)
        yield ("text", _text)

    def _markdown(self, source: str | list[str], cell: NotebookNode) -> str:
        return self._prose.html(_text(source), cell.get("attachments"))

    def _formula(self, latex: str | list[str]) -> str:
        text = _text(latex).strip()
        return self._prose.html(text if text.startswith(("$", "\\begin", "\\[", "\\(")) else f"$${text}$$")

    def _described(self, output: NotebookNode, kind: str, cell: NotebookNode) -> Any:  # noqa: ANN401 - for the template
        return described(output, kind, cell, self._prose.headings[-1].text if self._prose.headings else "")


def _anchors(notebook: NotebookNode) -> tuple[str, ...]:
    """Return `cell-<index>` for every cell, and `record` for the first that records."""
    sources = [cell.source if cell.cell_type == "code" else "" for cell in notebook.cells]
    recording = next((index for index, source in enumerate(sources) if _RECORDS.search(source)), None)
    return tuple(RECORD if index == recording else f"cell-{index}" for index in range(len(sources)))


def _about(cell: NotebookNode, anchor: str, failed: bool) -> dict[str, Any]:
    tags = cell.metadata.get("tags", [])
    label = "Code"
    if "injected-parameters" in tags:
        label = "Parameters of this run"
    elif "parameters" in tags:
        label = "Parameters and their defaults"
    lines = len(cell.source.strip().splitlines())
    return {
        "anchor": anchor,
        "failed": failed,
        "label": label,
        "open": failed or label != "Code",
        "lines": f"{lines} line{'' if lines == 1 else 's'}",
    }


def _text(value: str | list[str]) -> str:
    return value if isinstance(value, str) else "".join(value)
