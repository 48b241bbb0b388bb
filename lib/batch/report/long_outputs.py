"""Cuts what a cell put out at great length, so that one print in a loop does not make a page that no browser opens.

Pictures are left as they are: half of one is none.
"""

from collections.abc import MutableMapping
from typing import Any

from nbformat import NotebookNode

LONGEST = 500_000  # characters of text a cell
_TEXTS = ("text/html", "text/markdown", "text/latex", "text/plain")


def cut_long_outputs(cell: NotebookNode) -> None:
    """Cut a code cell's text after `LONGEST` characters, with a note of where the rest is.

    HTML and LaTeX cannot be cut; what is too long is shown as its plain text.

    Args:
        cell: Changed in place.
    """
    outputs = cell.get("outputs", [])
    total = sum(map(_length, outputs))
    if total <= LONGEST:
        return
    left, kept = LONGEST, []
    for output in outputs:
        if left <= 0 and _length(output):
            continue
        kept.append(output)
        left -= _shorten(output, left)
    # Decimal kilobytes of text; a narrow space parts the thousands.
    size = f"{total / 1000:,.0f}".replace(",", "\u202f")
    said = (
        f"… cut here: {LONGEST // 1000} of {size} kB are shown; the rest is in notebook.ipynb beside this page, and "
        "what was printed in log.txt too\n"
    )
    cell["outputs"] = [*kept, NotebookNode(output_type="stream", name="stdout", text=said)]


def _length(output: NotebookNode) -> int:
    if output.output_type == "stream":
        return len(_joined(output.text))
    data = output.get("data", {})
    return max((len(_joined(data[kind])) for kind in _TEXTS if kind in data), default=0)


def _shorten(output: NotebookNode, most: int) -> int:
    """Cut one output and return how many characters are left of it."""
    if output.output_type == "stream":
        output.text = _cut(output.text, most)
    data: MutableMapping[str, Any] = output.get("data", {})
    for kind in _TEXTS:
        if kind == "text/plain" and kind in data:
            data[kind] = _cut(data[kind], most)
        elif kind in data and len(_joined(data[kind])) > most:
            data.setdefault("text/plain", _joined(data.pop(kind)))
    return _length(output)


def _cut(text: str | list[str], most: int) -> str:
    return _joined(text)[:most]


def _joined(text: str | list[str]) -> str:
    return text if isinstance(text, str) else "".join(text)
