"""README's board: from the committed records alone, between its markers."""

import pytest

from lib.checkout import Checkout
from lib.ledger.boards import board
from lib.ledger.readme import BEGIN, END, ReadmeError, readme_is_in_sync, write_readme
from tests.ledger.toy import commit, toy_record


@pytest.fixture
def readme(checkout):
    path = checkout.root / "README.md"
    path.write_text(f"# Title\n\n{BEGIN}\nold\n{END}\n\nAfter.\n")
    return path


def shown(checkout):
    return board(checkout, fresh=False)


def test_the_board_stands_between_the_markers_and_the_rest_stays(checkout, readme):
    assert write_readme(shown(checkout), checkout)
    text = readme.read_text()
    assert text.startswith(f"# Title\n\n{BEGIN}\n") and text.endswith(f"{END}\n\nAfter.\n")
    assert "toy.C1" in text and "old" not in text


def test_writing_twice_changes_nothing(checkout, readme):
    write_readme(shown(checkout), checkout)
    before = readme.read_bytes()
    assert not write_readme(shown(checkout), checkout)
    assert readme.read_bytes() == before


def test_a_new_record_puts_it_out_of_sync(checkout, readme):
    write_readme(shown(checkout), checkout)
    assert readme_is_in_sync(shown(checkout), checkout)
    commit(checkout, toy_record(checkout))
    assert not readme_is_in_sync(shown(checkout), checkout)


@pytest.mark.parametrize("text", ["", BEGIN, END, f"{END}{BEGIN}"])
def test_missing_markers_are_named(checkout, readme, text):
    readme.write_text(text)
    with pytest.raises(ReadmeError, match="board:begin"):
        write_readme(shown(checkout), checkout)


def test_this_projects_readme_is_in_sync():
    assert readme_is_in_sync(board(fresh=False)), "README.md's board is out of date: run `make board`"


def test_this_projects_claims_and_records_are_in_order():
    assert board(Checkout(), fresh=False).faults == ()
