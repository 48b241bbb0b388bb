"""The number by which JupyterLab names a cell: `[n]` beside it, not its place among all cells."""

from collections.abc import Mapping, Sequence
from typing import Any


def cell_number(cells: Sequence[Mapping[str, Any]], index: int) -> int | None:
    """Return a cell's `[n]`, or the next one after the cells before it where it did not get so far.

    Args:
        cells: Of an executed notebook.
        index: Which of them.

    Returns:
        None where there is no such cell.
    """
    if not 0 <= index < len(cells):
        return None
    counts = [cell.get("execution_count") or 0 for cell in cells[: index + 1]]
    return counts[index] or max(counts) + 1
