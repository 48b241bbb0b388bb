"""README's board: the claims judged on the committed records alone, between two markers.

It depends on nothing but what git holds (claims, code, records), so every machine writes the same. A stale mark is part
of it: who changes code that a record depends on runs `make board`, and README says so until the paper is measured anew.
"""

from pathlib import Path

from lib.checkout import Checkout
from lib.ledger.boards import Board
from lib.ledger.views import to_markdown

BEGIN = "<!-- board:begin -->"
END = "<!-- board:end -->"


class ReadmeError(ValueError):
    """README.md has no place for the board; the message says how to give it one."""


def write_readme(shown: Board, checkout: Checkout = Checkout()) -> bool:
    """Write a board into README.md; return whether that changed the file.

    Args:
        shown: The board of the committed records, `board(checkout, fresh=False)`.
        checkout: Whose README.md.

    Raises:
        ReadmeError: It lacks the markers.
    """
    path, present, wanted = _texts(shown, checkout)
    if present != wanted:
        path.write_text(wanted, encoding="utf-8")
    return present != wanted


def readme_is_in_sync(shown: Board, checkout: Checkout = Checkout()) -> bool:
    """Tell whether README.md holds this board.

    Raises:
        ReadmeError: It lacks the markers.
    """
    _, present, wanted = _texts(shown, checkout)
    return present == wanted


def _texts(shown: Board, checkout: Checkout) -> tuple[Path, str, str]:
    path = checkout.root / "README.md"
    present = path.read_text(encoding="utf-8") if path.is_file() else ""
    before, begin, rest = present.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ReadmeError(f"{path.name} needs the lines {BEGIN} and {END}, in this order, where the board is to stand")
    return path, present, f"{before}{BEGIN}\n\n{to_markdown(shown)}\n\n{END}{after}"
