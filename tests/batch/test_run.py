import json

import pytest

from lib.batch.batch_file import Entry
from lib.batch.run import BatchEntry, BatchSummary, CellError, Outcome, Run, RunFileError, RunStatus, run_folders
from lib.checkout import Checkout

RUN = Run("demo/01_x", "demo", "quick", {"seed": 0, "rate": 0.5}, {"seed": 0}, "0123456789ab", minutes=1.5)
OUTCOME = Outcome(RunStatus.FAILED, "2026-01-01T00:00:00", "2026-01-01T00:00:02", 2.0, CellError(3, "E", "no", "at 3"))


def test_what_is_saved_is_loaded_again(tmp_path):
    checkout = Checkout(tmp_path)
    RUN.save(tmp_path)
    OUTCOME.save(tmp_path)
    entry = BatchEntry("quick/demo/01_x-0123456789ab", False, RunStatus.DONE, 2.0, RunStatus.DIED, 3.0)
    summary = BatchSummary("quick", "a", "b", 2, (entry,), {"cores": 2})
    summary.save(checkout)
    assert Run.load(tmp_path) == RUN
    assert Outcome.load(tmp_path) == OUTCOME
    assert BatchSummary.load(checkout, "quick") == summary


def test_no_temporary_file_stays_behind(tmp_path):
    RUN.save(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data.pop("key"), r"missing fields \['key'\]"),
        (lambda data: data.update(extra=1), r"unknown fields \['extra'\]"),
        (lambda data: data.update(threads="1"), "threads: expected .*int.*, found '1'"),
        (lambda data: data.update(threads=True), "found True"),
    ],
)
def test_a_file_that_was_edited_is_refused_by_name(tmp_path, change, message):
    RUN.save(tmp_path)
    data = json.loads((tmp_path / "run.json").read_text())
    change(data)
    (tmp_path / "run.json").write_text(json.dumps(data))
    with pytest.raises(RunFileError, match=rf"run\.json.*{message}"):
        Run.load(tmp_path)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"status": "well"}'])
def test_a_file_that_is_damaged_is_refused_by_name(tmp_path, text):
    (tmp_path / "outcome.json").write_text(text)
    with pytest.raises(RunFileError, match=r"outcome\.json"):
        Outcome.load(tmp_path)


def test_folders_that_are_being_written_are_not_listed(tmp_path):
    checkout = Checkout(tmp_path)
    for folder in ("quick/demo/01_x-a", "quick/00_start-a", "quick/demo/.02_x-a"):
        (checkout.runs / folder).mkdir(parents=True)
        OUTCOME.save(checkout.runs / folder)
    assert [path.name for path in run_folders(checkout, "quick")] == ["00_start-a", "01_x-a"]


def test_a_title_cuts_long_values_short():
    run = Run("demo/01_x", "demo", "cpu", {}, {"seed": 0, "names": ["a long name"] * 9}, "0123456789ab")
    assert run.title.startswith("demo/01_x seed=0 names=['a long name', ")
    assert run.title.endswith("…")
    assert len(run.title) < 70


def test_the_choice_from_a_grid_leads_the_title():
    entry = Entry("01_x", "here", parameters={"rate": 0.5}, grid={"seed": [3]})
    assert list(*entry.combinations()) == ["seed", "rate"]
