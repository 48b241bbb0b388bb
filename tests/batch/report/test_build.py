import json
import subprocess
import sys

import pytest
from nbformat.v4 import new_markdown_cell, new_notebook

from lib.batch.report import ReportError, build, build_report
from lib.batch.run import Outcome, RunStatus
from lib.checkout import Checkout
from tests.batch.report import samples


@pytest.fixture
def checkout(tmp_path):
    checkout = Checkout(tmp_path)
    for key in ("a" * 12, "b" * 12):
        samples.write_run(
            checkout, samples.a_run(key=key), samples.an_outcome(), new_notebook(cells=[new_markdown_cell("# T")])
        )
    return checkout


def built(checkout, monkeypatch):
    """Return the folders whose pages a call builds."""
    from lib.batch.report import page

    seen, original = [], page.run_page
    monkeypatch.setattr(
        page, "run_page", lambda folder, checkout: seen.append(folder.name[-1]) or original(folder, checkout)
    )
    build_report(checkout, "quick")
    monkeypatch.undo()
    return seen


def folder(checkout, letter):
    return samples.a_run(key=letter * 12).folder(checkout)


def test_every_run_gets_a_page_and_the_index_is_returned(checkout, monkeypatch):
    assert built(checkout, monkeypatch) == ["a", "b"]
    assert build_report(checkout, "quick") == checkout.index
    assert checkout.index.is_file()


def test_a_second_call_builds_nothing(checkout, monkeypatch):
    build_report(checkout, "quick")
    before = {path: path.stat().st_mtime_ns for path in checkout.reports.rglob("*")}
    assert built(checkout, monkeypatch) == []
    assert {path: path.stat().st_mtime_ns for path in checkout.reports.rglob("*")} == before


def test_a_second_call_does_not_load_nbconvert(checkout):
    build_report(checkout, "quick")
    program = (
        "import sys; from pathlib import Path\n"
        "from lib.checkout import Checkout; from lib.batch.report import build_report\n"
        f"build_report(Checkout(Path({str(checkout.root)!r})), 'quick')\n"
        "print([name for name in ('nbconvert', 'nbformat', 'matplotlib', 'torch', 'PIL') if name in sys.modules])"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=Checkout().root
    )
    assert answer.stdout.strip() == "[]"


def test_only_the_page_whose_run_changed_is_built_again(checkout, monkeypatch):
    build_report(checkout, "quick")
    Outcome(RunStatus.DONE, "x", "y", 99.0).save(folder(checkout, "b"))
    assert built(checkout, monkeypatch) == ["b"]


def test_a_page_that_was_deleted_is_built_again(checkout, monkeypatch):
    build_report(checkout, "quick")
    (folder(checkout, "a") / "page.html").unlink()
    assert built(checkout, monkeypatch) == ["a"]


def test_a_damaged_stamp_is_no_stamp(checkout, monkeypatch):
    build_report(checkout, "quick")
    (folder(checkout, "a") / "page.json").write_text("{")
    (folder(checkout, "b") / "page.json").write_text('{"inputs": "x", "old": 1, "faults": []}')
    assert built(checkout, monkeypatch) == ["a", "b"]


def test_all_pages_are_built_again_when_the_code_that_builds_them_changes(checkout, monkeypatch):
    build_report(checkout, "quick")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(build, "_code_hash", lambda: b"another")
        assert built(checkout, monkeypatch) == ["a", "b"]


def test_a_faulty_page_stops_no_other_and_is_named_at_every_call(checkout):
    bad = new_notebook(cells=[new_markdown_cell(r"$\nonsense$ ![x](gone.png)")])
    samples.write_run(checkout, samples.a_run(key="c" * 12), samples.an_outcome(), bad)
    for _ in range(2):
        with pytest.raises(ReportError, match=r"(?s)-cccccccccccc: formula '\\\\nonsense'.*gone\.png"):
            build_report(checkout, "quick")
    assert all((folder(checkout, letter) / "page.html").is_file() for letter in "abc")
    assert "nonsense" in checkout.index.read_text()


def test_a_run_that_is_being_written_or_is_not_a_batchs_is_left_out(checkout):
    hidden = folder(checkout, "d").with_name(".01_x-dddddddddddd")
    hidden.mkdir()
    (hidden / "outcome.json").write_text("{}")
    strange = folder(checkout, "e")
    strange.mkdir()
    (strange / "outcome.json").write_text("{}")
    build_report(checkout, "quick")
    assert not (hidden / "page.html").exists()
    assert not (strange / "page.html").exists()


def test_without_runs_records_and_claims_there_is_an_index(tmp_path):
    text = build_report(Checkout(tmp_path), "quick").read_text()
    for words in ("No paper states claims yet", "Nothing has been run here yet", "Known once a batch has run"):
        assert words in text


def test_every_committed_record_has_a_page_that_goes_with_it(checkout):
    record = samples.write_record(checkout, samples.a_run(key="a" * 12))
    page = checkout.runs / "records" / "cpu" / "onebit" / f"{record.stem}.html"
    build_report(checkout, "quick")
    text = page.read_text()
    for part in (
        "0.37190123",
        "by type: k_proj",
        "4150dee0123456789, clean",
        "seed",
        "01_separate_sign_and_value-aaaaaaaaaaaa/page.html#record",
    ):
        assert part in text
    record.unlink()
    build_report(checkout, "quick")
    assert not page.exists()


def test_a_record_that_the_ledger_refuses_says_so_on_its_page(checkout):
    record = samples.write_record(checkout, samples.a_run(key="a" * 12))
    content = json.loads(record.read_text())
    record.write_text(json.dumps(content | {"checksum": "0"}))
    build_report(checkout, "quick")
    page = checkout.runs / "records" / "cpu" / "onebit" / f"{record.stem}.html"
    assert "No verdict rests on this record." in page.read_text()
    assert record.name in checkout.index.read_text()


@pytest.mark.parametrize("content", ["", "[]", '{"metrics": 3}'])
def test_a_record_that_is_no_record_stops_nothing(checkout, content):
    path = checkout.records / "cpu" / "onebit" / "x.json"
    path.parent.mkdir(parents=True)
    path.write_text(content)
    build_report(checkout, "quick")
    assert "None can be read." in (checkout.runs / "records" / "cpu" / "onebit" / "x.html").read_text()
