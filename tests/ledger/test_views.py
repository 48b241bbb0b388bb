"""The board as data and as text."""

import csv
import io
import json
from html.parser import HTMLParser

import pytest

from lib.ledger.boards import board
from lib.ledger.views import to_csv, to_html, to_json, to_markdown
from tests.ledger.toy import METHOD, commit, run, toy_record


@pytest.fixture
def shown(checkout):
    commit(checkout, *(toy_record(checkout, seed=seed, error=0.2 + 0.05 * seed) for seed in range(3)))
    (checkout.lib / "toy" / "method.py").write_text(METHOD.replace("x / 2", "x / 3"))
    run(checkout, toy_record(checkout, error=2.0, started="2026-02-02T00:00:00+00:00"))
    return board(checkout)


def test_the_json_has_the_fields_of_the_design(shown):
    first, second = json.loads(to_json(shown))
    assert {key: first[key] for key in ("id", "paper", "claim", "verdict", "unit", "paper_value", "profile")} == {
        "id": "toy.C1",
        "paper": "toy",
        "claim": "The error | is small.",
        "verdict": "holds",
        "unit": "%",
        "paper_value": 0.3,
        "profile": "cpu",
    }
    assert first["interval"] == list(shown.rows[0].interval)
    assert first["stale"] == ["lib/toy/method.py"] and len(first["records"]) == 3
    assert (second["measured"], second["interval"], second["paper_value"]) == (None, None, [1.0, 2.0])


def test_the_json_says_what_is_fresh(checkout):
    run(checkout, toy_record(checkout, profile="quick"))
    (first, _) = json.loads(to_json(board(checkout)))
    assert (first["fresh"]["verdict"], first["fresh"]["profile"]) == ("holds", "quick")


def test_the_csv_says_what_the_json_says(shown):
    rows = list(csv.DictReader(io.StringIO(to_csv(shown))))
    for row, values in zip(rows, json.loads(to_json(shown)), strict=True):
        assert list(row) == list(values)
        for name, value in values.items():
            assert row[name] == (value if isinstance(value, str) else "" if value is None else json.dumps(value))


def test_the_markdown_is_one_table_whose_cells_do_not_break(shown):
    lines = to_markdown(shown).splitlines()
    assert {line.replace("\\|", "").count("|") for line in lines[:4]} == {7}
    assert lines[2].startswith("| toy.C1 | The error \\| is small. | holds (stale) | 0.25 % (")
    assert lines[2].endswith("| 0.3 % (a large model) | a small model (profile cpu, 3 records) |")
    assert "needs a GPU" in lines[3] and "| 1, 2 s (a large model) | a GPU |" in lines[3]
    assert lines[-1] == "2 claims: 1 holds, 1 not measured, 1 of them on stale evidence."


class _Cells(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.scopes = [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.scopes += [value for name, value in attrs if name == "scope"]


def test_the_table_has_a_caption_and_names_its_heads(shown):
    cells = _Cells()
    cells.feed(to_html(shown))
    assert cells.tags.count("caption") == 1
    assert (cells.scopes.count("col"), cells.scopes.count("row")) == (6, 2)
