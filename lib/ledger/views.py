"""The board as data and as text: JSON, CSV, Markdown, HTML, one line."""

import csv
import html
import io
import json
from collections import Counter
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

from lib.ledger.claim import Status
from lib.ledger.digits import four_digits, interval_text, paper_text

if TYPE_CHECKING:
    from lib.ledger.boards import Board, Row

_HEAD = ("Claim", "In one sentence", "Verdict", "Measured here (95 % interval)", "The paper", "Tested on")


def to_values(board: "Board") -> list[dict[str, Any]]:
    """Return one dictionary of JSON values a row, with the names of `Row`."""
    return [json.loads(json.dumps(asdict(row), allow_nan=False)) for row in board.rows]


def to_json(board: "Board") -> str:
    """Return the rows as a JSON list of objects."""
    return json.dumps(to_values(board), indent=1, ensure_ascii=False)


def to_csv(board: "Board") -> str:
    """Return the rows as CSV with a header line; lists, intervals and what is fresh stand in their cells as JSON."""
    from lib.ledger.boards import Row

    text = io.StringIO()
    writer = csv.DictWriter(text, [each.name for each in fields(Row)], lineterminator="\n")
    writer.writeheader()
    for row in to_values(board):
        writer.writerow({name: _csv_cell(value) for name, value in row.items()})
    return text.getvalue()


def to_markdown(board: "Board") -> str:
    """Return the rows as a Markdown table, and a line that counts the verdicts."""
    lines = ["| " + " | ".join(_HEAD) + " |", "|" + "---|" * len(_HEAD)]
    lines += ["| " + " | ".join(_markdown_cell(cell) for cell in _cells(row)) + " |" for row in board.rows]
    return "\n".join([*lines, "", to_line(board) + "."])


def to_html(board: "Board") -> str:
    """Return the rows as a table for a notebook, with what is wrong with the committed records below it."""
    head = "".join(f'<th scope="col" style="text-align:left">{html.escape(name)}</th>' for name in _HEAD)
    rows = "".join(_html_row(row) for row in board.rows)
    caption = f"<caption>{html.escape(to_line(board))}</caption>"
    # What lies in reports/runs differs from machine to machine, and this table is stored with the notebook.
    faults = [str(fault) for fault in board.faults if not fault.where.startswith("reports/runs/")]
    listed = "".join(f"<li>{html.escape(fault)}</li>" for fault in faults)
    wrong = f"<p>Left out:</p><ul>{listed}</ul>" if faults else ""
    return f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>{wrong}"


def to_line(board: "Board") -> str:
    """Return how many claims have which verdict, in one line."""
    counts = Counter(row.verdict for row in board.rows)
    parts = [f"{counts[status]} {status.value}" for status in Status if counts[status]]
    stale = sum(bool(row.stale) for row in board.rows)
    parts += [f"{stale} of them on stale evidence"] if stale else []
    total = len(board.rows)
    return f"{total} claim{'s' if total != 1 else ''}" + (f": {', '.join(parts)}" if parts else "")


def measured_text(row: "Row") -> str:
    """Return number, unit and interval as text; the reason where there is no number."""
    if row.measured is None:
        return row.reason
    number = f"{four_digits(row.measured)} {row.unit}".rstrip()
    return number + (f" ({interval_text(row.interval)})" if row.interval else "")


def verdict_text(row: "Row") -> str:
    """Return the verdict, marked where its evidence is stale."""
    return row.verdict.value + (" (stale)" if row.stale else "")


def scale_text(row: "Row") -> str:
    """Return what the claim is tested on here, with profile and number of records where there are some."""
    return row.scale + (f" ({evidence_text(row)})" if row.records else "")


def evidence_text(row: "Row") -> str:
    """Return profile and number of the records that a verdict rests on."""
    return f"profile {row.profile}, {len(row.records)} record{'s' if len(row.records) != 1 else ''}"


def _cells(row: "Row") -> tuple[str, ...]:
    paper = f"{paper_text(row.paper_value)} {row.paper_unit if row.paper_value is not None else ''}".rstrip()
    paper += f" ({row.paper_scale})" if row.paper_scale else ""
    return row.id, row.claim, verdict_text(row), measured_text(row), paper, scale_text(row)


def _html_row(row: "Row") -> str:
    first, *rest = (html.escape(cell) for cell in _cells(row))
    cells = "".join(f'<td style="text-align:left">{cell}</td>' for cell in rest)
    return f'<tr><th scope="row" style="text-align:left">{first}</th>{cells}</tr>'


def _markdown_cell(text: str) -> str:
    return " ".join(text.split()).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")


def _csv_cell(value: Any) -> str:  # noqa: ANN401 - any JSON value
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
