"""A finished batch is accepted whole, or not at all."""

import json

import pytest

from lib.batch.accept import AcceptError, accept
from lib.batch.errors import PlanError
from lib.batch.run import RunStatus
from lib.ledger.boards import board
from lib.ledger.evidence import SUMS_FILE
from lib.ledger.records import RECORD_FILE, checksum
from tests.batch.toy_batch import put_all, put_run, runs, toy_batch, write_seeds
from tests.ledger.toy import METHOD, write_notebook


@pytest.fixture
def checkout(tmp_path):
    return toy_batch(tmp_path)


def records(checkout):
    return sorted((checkout.records / "cpu" / "toy").glob("*.json"))


def refused(checkout, says, **options):
    """Accepting is refused with these words, and leaves reports/records as it was."""
    before = {path: path.read_bytes() for path in checkout.records.rglob("*") if path.is_file()}
    with pytest.raises(AcceptError, match=says):
        accept(checkout, "cpu", "toy", **options)
    assert {path: path.read_bytes() for path in checkout.records.rglob("*") if path.is_file()} == before


def rewrite(folder, change):
    content = json.loads((folder / RECORD_FILE).read_text())
    change(content)
    content["checksum"] = checksum(content)
    (folder / RECORD_FILE).write_text(json.dumps(content))


def test_a_finished_batch_becomes_the_boards_evidence(checkout, capsys):
    put_all(checkout)
    written = accept(checkout, "cpu", "toy")
    assert written == records(checkout) and len(written) == 2
    found = board(checkout)
    assert (found.faults, len(found.rows[0].records), found.rows[0].stale) == ((), 2, ())
    assert "2 records accepted, 2 files changed" in capsys.readouterr().out


def test_records_are_copied_as_they_are(checkout):
    folders = put_all(checkout)
    accept(checkout, "cpu", "toy")
    assert {path.read_bytes() for path in records(checkout)} == {
        (folder / RECORD_FILE).read_bytes() for folder in folders
    }


def test_all_papers_are_accepted_without_naming_one(checkout):
    put_all(checkout)
    assert len(accept(checkout, "cpu")) == 2


def test_accepting_again_changes_nothing(checkout, capsys):
    put_all(checkout)
    accept(checkout, "cpu", "toy")
    assert accept(checkout, "cpu", "toy") == []
    assert "2 records accepted, 0 files changed" in capsys.readouterr().out


def test_what_moved_is_named(checkout, capsys):
    put_all(checkout, error=0.25)
    accept(checkout, "cpu", "toy")
    put_run(checkout, runs(checkout)[0], error=0.5, seconds=9.0)
    (changed,) = accept(checkout, "cpu", "toy")
    assert f"{changed.name}: measured anew: error, by_layer[0] moved" in capsys.readouterr().out


def test_records_that_left_the_plan_are_removed(checkout, capsys):
    put_all(checkout)
    accept(checkout, "cpu", "toy")
    write_seeds(checkout, "[1]")
    (removed,) = accept(checkout, "cpu", "toy")
    assert removed not in records(checkout) and len(records(checkout)) == 1
    assert "removed: no longer in the plan" in capsys.readouterr().out
    assert board(checkout).faults == ()


def test_records_of_other_profiles_and_papers_stay(checkout):
    put_all(checkout)
    others = [checkout.records / "gpu" / "toy" / "x.json", checkout.records / "cpu" / "other" / "x.json"]
    for other in others:
        other.parent.mkdir(parents=True)
        other.write_text("{}")
    accept(checkout, "cpu", "toy")
    assert all(other.is_file() for other in others)


def test_what_was_accepted_can_be_checked_with_sha256sum(checkout):
    put_all(checkout)
    accept(checkout, "cpu", "toy")
    lines = (checkout.records / "cpu" / "toy" / SUMS_FILE).read_text().splitlines()
    assert [line.partition("  ")[2] for line in lines] == [path.name for path in records(checkout)]


def test_nothing_is_left_behind_where_runs_are(checkout):
    put_all(checkout)
    accept(checkout, "cpu", "toy")
    assert [path.name for path in checkout.runs.iterdir()] == ["cpu"]


def test_a_run_that_was_never_run_is_named(checkout):
    put_run(checkout, runs(checkout)[0])
    refused(checkout, r"1 of 2 runs(.|\n)*seed=1: never run; run make reports PROFILE=cpu PAPER=toy")


def test_a_failed_run_is_named_and_what_was_accepted_before_stays(checkout):
    put_all(checkout)
    accept(checkout, "cpu", "toy")
    put_run(checkout, runs(checkout)[1], RunStatus.FAILED, error=0.9)
    refused(checkout, "seed=1: failed")


def test_a_run_by_other_code_is_named(checkout):
    put_all(checkout)
    (checkout.lib / "toy" / "method.py").write_text(METHOD.replace("x / 2", "x / 3"))
    refused(checkout, "done, but by other code or with another lock")


def test_every_fault_is_named_at_once(checkout):
    refused(checkout, r"2 of 2 runs(.|\n)*seed=0: never run(.|\n)*seed=1: never run")


def test_a_notebook_that_records_must_have_left_a_record(checkout):
    (put_all(checkout)[0] / RECORD_FILE).unlink()
    refused(checkout, "done, but it left no record")


def test_a_record_that_was_changed_is_refused(checkout):
    folder = put_all(checkout)[0]
    text = (folder / RECORD_FILE).read_text()
    (folder / RECORD_FILE).write_text(text.replace("0.25", "0.01"))
    refused(checkout, r"its record is no evidence \(its checksum does not match")


def test_a_record_of_another_run_is_refused(checkout):
    rewrite(put_all(checkout)[0], lambda content: content.update(parameters={"seed": 7}, seed=7))
    refused(checkout, "its record is that of toy/01_measure {'seed': 7}")


def test_a_record_of_other_sources_is_refused(checkout):
    rewrite(put_all(checkout)[0], lambda content: content["provenance"]["sources"].update({"lib/toy/method.py": "0"}))
    refused(checkout, r"measured before lib/toy/method\.py changed")


def test_a_record_from_a_dirty_tree_is_refused_unless_that_is_allowed(checkout):
    rewrite(put_all(checkout)[0], lambda content: content["provenance"].update(dirty=True))
    refused(checkout, "changes that were not committed")
    assert len(accept(checkout, "cpu", "toy", allow_dirty=True)) == 2


def test_a_record_made_without_git_is_taken(checkout):
    for folder in put_all(checkout):
        rewrite(folder, lambda content: content["provenance"].update(commit=None, dirty=None, content="0" * 16))
    assert len(accept(checkout, "cpu", "toy")) == 2


def test_a_batch_without_records_has_nothing_to_accept(checkout):
    write_notebook(checkout.notebooks / "toy" / "01_measure.ipynb", "# ledger.record( is called elsewhere")
    notebook = json.loads((checkout.notebooks / "toy" / "01_measure.ipynb").read_text())
    notebook["cells"].insert(
        0, {"cell_type": "code", "metadata": {"tags": ["parameters"]}, "source": "seed: int = 0", "outputs": []}
    )
    (checkout.notebooks / "toy" / "01_measure.ipynb").write_text(json.dumps(notebook))
    for folder in put_all(checkout):
        (folder / RECORD_FILE).unlink()
    refused(checkout, "there is nothing to accept")


def test_an_old_record_that_cannot_be_read_is_replaced(checkout, capsys):
    put_all(checkout)
    accept(checkout, "cpu", "toy")
    records(checkout)[0].write_text("{")
    accept(checkout, "cpu", "toy")
    assert "the old one could not be read" in capsys.readouterr().out
    assert board(checkout).faults == ()


@pytest.mark.parametrize(("profile", "paper"), [("cup", "toy"), ("cpu", "tox")])
def test_an_unknown_profile_or_paper_is_bad_usage(checkout, profile, paper):
    with pytest.raises(PlanError, match="unknown"):
        accept(checkout, profile, paper)


def test_a_disk_that_is_full_leaves_what_was_accepted(checkout, monkeypatch):
    put_all(checkout)
    accept(checkout, "cpu", "toy")
    before = [path.read_bytes() for path in records(checkout)]
    put_all(checkout, error=0.9)

    def full(source, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("lib.batch.accept.shutil.copyfile", full)
    with pytest.raises(OSError, match="No space left"):
        accept(checkout, "cpu", "toy")
    assert [path.read_bytes() for path in records(checkout)] == before


def test_a_run_that_differs_in_nothing_but_its_times_says_so(checkout, capsys):
    put_all(checkout, seconds=1.0)
    accept(checkout, "cpu", "toy")
    put_run(checkout, runs(checkout)[0], seconds=2.0)
    accept(checkout, "cpu", "toy")
    assert "measured anew: the same metrics" in capsys.readouterr().out
