"""The board of claims.

    python -m lib.ledger [--paper P] [--json | --csv | --markdown | --write-readme | --check-readme]

Exit status 0 if all is well, 1 if something is wrong with a record or a claim or README is out of date, 2 on bad usage.
"""

import argparse
import os
import sys
from collections.abc import Sequence

from lib.checkout import Checkout
from lib.ledger.boards import Board, board
from lib.ledger.readme import ReadmeError, readme_is_in_sync, write_readme
from lib.ledger.rooms import Rooms
from lib.ledger.terminal import print_board
from lib.ledger.views import to_csv, to_json, to_markdown

_FORMATS = {"json": to_json, "csv": to_csv, "markdown": to_markdown}


def main(arguments: Sequence[str] | None = None, checkout: Checkout = Checkout()) -> int:
    """Carry out the command line and return its exit status."""
    wanted = _parser().parse_args(arguments)
    if wanted.form in ("write-readme", "check-readme"):
        return _readme(wanted.form, checkout)
    known = Rooms(checkout).names()
    if wanted.paper is not None and wanted.paper not in known:
        print(f"unknown paper {wanted.paper!r}; there are: {', '.join(known) or 'none'}", file=sys.stderr)
        return 2
    shown = board(checkout)
    _print(shown.of(wanted.paper) if wanted.paper else shown, wanted.form)
    return 1 if shown.faults else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m lib.ledger", description="The board of claims.")
    parser.add_argument("--paper", metavar="P", help="this paper's claims alone")
    forms = parser.add_mutually_exclusive_group()
    for name, text in (
        ("json", "as a JSON list of objects"),
        ("csv", "as CSV"),
        ("markdown", "as a Markdown table"),
        ("write-readme", "write it into README.md, from the committed records alone"),
        ("check-readme", "exit status 1 if README.md's board is out of date"),
    ):
        forms.add_argument(f"--{name}", dest="form", action="store_const", const=name, help=text)
    return parser


def _print(shown: Board, form: str | None) -> None:
    if form is None:
        print_board(shown)
        return
    print(_FORMATS[form](shown).rstrip("\n"))
    _print_faults(shown)


def _print_faults(shown: Board) -> None:
    for fault in shown.faults:
        print(f"! {fault}", file=sys.stderr)


def _readme(form: str, checkout: Checkout) -> int:
    shown = board(checkout, fresh=False)
    if shown.faults:  # what is missing for a moment must not be written down as never measured
        _print_faults(shown)
        print("README.md was left as it is: mend the above first", file=sys.stderr)
        return 1
    try:
        if form == "write-readme":
            print(
                "README.md: the board is new" if write_readme(shown, checkout) else "README.md: the board was in sync"
            )
        elif not readme_is_in_sync(shown, checkout):
            print("README.md's board is not what the committed records give: run `make board`", file=sys.stderr)
            return 1
    except ReadmeError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BrokenPipeError:  # the reader, `head` say, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
