"""The command line."""

import csv
import io
import json

import pytest

from lib.ledger.__main__ import main
from lib.ledger.readme import BEGIN, END
from tests.ledger.toy import CLAIMS, commit, run, toy_record


@pytest.fixture
def measured(checkout):
    commit(checkout, *(toy_record(checkout, seed=seed, error=0.2 + 0.05 * seed) for seed in range(3)))
    return checkout


def test_the_board_fits_a_hundred_columns_and_has_no_colours_in_a_pipe(measured, capsys):
    run(measured, toy_record(measured, error=2.0, started="2026-02-02T00:00:00+00:00"))
    assert main([], measured) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 100
    assert not any("\x1b" in line for line in lines)
    text = " ".join(" ".join(lines).split())
    for expected in (
        "toy.C1",
        "holds",
        "0.25 %",
        "needs a GPU",
        "measured here 2026-02-02,",
        "2 claims: 1 holds",
    ):
        assert expected in text


def test_the_board_says_what_is_stale(measured, capsys):
    (measured.lib / "toy" / "method.py").write_text("")
    main([], measured)
    text = " ".join(capsys.readouterr().out.split())
    assert "holds (stale)" in text and "stale: lib/toy/method.py changed since" in text


def test_brackets_in_a_claim_are_no_markup(measured, capsys):
    (measured.lib / "toy" / "claims.py").write_text(CLAIMS.replace("It is fast.", "It is [bold]fast[/bold]."))
    main([], measured)
    assert "[bold]fast[/bold]" in "".join(capsys.readouterr().out.split())


def test_json_and_csv_are_data_alone(measured, capsys):
    assert main(["--json"], measured) == 0
    assert [row["id"] for row in json.loads(capsys.readouterr().out)] == ["toy.C1", "toy.C2"]
    assert main(["--csv"], measured) == 0
    assert [row["id"] for row in csv.DictReader(io.StringIO(capsys.readouterr().out))] == ["toy.C1", "toy.C2"]


def test_markdown_is_the_readmes_table(measured, capsys):
    assert main(["--markdown"], measured) == 0
    assert capsys.readouterr().out.startswith("| Claim |")


def test_one_paper_can_be_chosen(measured, capsys):
    (measured.lib / "abc").mkdir()
    (measured.lib / "abc" / "claims.py").write_text("CLAIMS = ()")
    assert main(["--paper", "abc", "--json"], measured) == 0
    assert json.loads(capsys.readouterr().out) == []


def test_an_unknown_paper_is_bad_usage(measured, capsys):
    assert main(["--paper", "tox"], measured) == 2
    assert "unknown paper 'tox'; there are: toy" in capsys.readouterr().err


@pytest.mark.parametrize("form", [[], ["--json"], ["--csv"], ["--markdown"]])
def test_a_judge_that_raises_gives_an_exit_status_and_the_board(measured, capsys, form):
    (measured.lib / "toy" / "claims.py").write_text(CLAIMS.replace("each.error for", "each.eror for"))
    assert main(form, measured) == 1
    printed = capsys.readouterr()
    assert "AttributeError" in printed.out + printed.err
    assert "toy.C2" in printed.out
    assert "mend the judge" in " ".join((printed.err if form else printed.out).split())


def test_readme_is_checked_and_written(measured, capsys):
    readme = measured.root / "README.md"
    readme.write_text(f"{BEGIN}\n{END}\n")
    assert main(["--check-readme"], measured) == 1
    assert "make board" in capsys.readouterr().err
    assert main(["--write-readme"], measured) == 0
    assert main(["--check-readme"], measured) == 0
    readme.write_text("")
    assert main(["--write-readme"], measured) == 1
    assert "needs the lines" in capsys.readouterr().err


def test_a_board_with_lost_records_is_not_written(measured, capsys):
    (measured.root / "README.md").write_text("<!-- board:begin -->\n<!-- board:end -->\n")
    assert main(["--write-readme"], measured) == 0
    written = (measured.root / "README.md").read_text()
    next((measured.records / "cpu" / "toy").glob("*.json")).unlink()
    assert main(["--write-readme"], measured) == 1
    assert (measured.root / "README.md").read_text() == written
    assert "left as it is" in capsys.readouterr().err
