"""A batch that is run again: which metrics moved, by how much."""

import os
import subprocess
import sys
from dataclasses import replace

import pytest

from lib.batch import reproduce as reproducing
from lib.batch.errors import PlanError
from lib.batch.reproduce import reproduce
from lib.batch.run import Outcome, RunStatus
from lib.ledger.records import RECORD_FILE
from tests.batch.toy_batch import put_all, put_run, runs, toy_batch
from tests.batch.tree import ROOT
from tests.ledger.toy import METHOD, commit, toy_record


@pytest.fixture
def checkout(tmp_path):
    return toy_batch(tmp_path)


@pytest.fixture
def again(monkeypatch):
    """Let the second batch measure what the test says, without kernels; returns what it was asked."""
    asked = {}

    def run_batch(order, copy, build_report):
        asked.update(order=order, copy=copy, files=sorted(path for path in copy.root.rglob("*") if path.is_file()))
        asked["artifacts"] = os.environ["SIX_PAPERS_ARTIFACTS"]
        for number, run in enumerate(runs(copy)):
            if asked.get("record", True):
                put_run(copy, run, **asked.get("metrics", [{}, {}])[number])
            if number in asked.get("failed", ()):
                replace(Outcome.load(run.folder(copy)), status=RunStatus.FAILED).save(run.folder(copy))
            if number in asked.get("silent", ()):
                (run.folder(copy) / RECORD_FILE).unlink()
        return asked.get("status", 0)

    monkeypatch.setattr(reproducing, "run_batch", run_batch)
    return asked


def test_the_same_metrics_are_a_success(checkout, again, capsys):
    put_all(checkout)
    assert reproduce(checkout, "cpu", "toy") == 0
    assert "2 runs measured again against reports/runs: none of 14 metrics moved." in capsys.readouterr().out


def test_a_moved_metric_is_shown_with_how_much(checkout, again, capsys):
    put_all(checkout, error=0.25)
    again["metrics"] = [{}, {"error": 0.5}]
    assert reproduce(checkout, "cpu", "toy") == 1
    lines = capsys.readouterr().out.splitlines()
    (line,) = (line for line in lines if " error " in line)
    assert line.split() == ["toy/01_measure", "seed=1", "error", "0.25", "0.5", "0.25", "+100", "%"]
    assert max(map(len, lines)) <= 100
    assert "2 of 14 metrics moved" in lines[-1]


def test_timings_are_shown_apart_and_are_no_failure(checkout, again, capsys):
    put_all(checkout)
    again["metrics"] = [{"seconds": 3.0}, {}]
    assert reproduce(checkout, "cpu", "toy") == 0
    printed = capsys.readouterr().out
    assert "Timings, which differ every time" in printed and "Moved" not in printed
    assert "none of 14 metrics moved" in printed


def test_committed_records_do_where_there_are_no_runs(checkout, again, capsys):
    commit(checkout, *(toy_record(checkout, seed=seed) for seed in (0, 1)))
    assert reproduce(checkout, "cpu", "toy") == 0
    assert "against reports/records: none of 14" in capsys.readouterr().out


def test_a_run_by_other_code_is_compared_before_a_committed_record(checkout, again, capsys):
    commit(checkout, *(toy_record(checkout, seed=seed, error=0.7) for seed in (0, 1)))
    put_all(checkout)
    (checkout.lib / "toy" / "method.py").write_text(METHOD.replace("x / 2", "x / 3"))
    assert reproduce(checkout, "cpu", "toy") == 0
    assert "against reports/runs" in capsys.readouterr().out


def test_without_any_record_nothing_is_run(checkout, again):
    with pytest.raises(PlanError, match="no record to compare with; run make reports PROFILE=cpu"):
        reproduce(checkout, "cpu", "toy")
    assert again == {}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"failed": [1], "status": 1}, "seed=1: did not end well this time"),
        ({"silent": [1]}, "seed=1: made no record this time"),
    ],
)
def test_a_run_that_gives_no_record_again_is_no_success(checkout, again, capsys, change, says):
    put_all(checkout)
    again.update(change)
    assert reproduce(checkout, "cpu", "toy") == 1
    assert says in capsys.readouterr().out


def test_a_run_without_an_earlier_record_is_no_success(checkout, again, capsys):
    put_run(checkout, runs(checkout)[0])
    assert reproduce(checkout, "cpu", "toy") == 1
    assert "seed=1: has no earlier record" in capsys.readouterr().out


def test_a_notebook_that_never_records_is_passed_over(checkout, again, capsys):
    put_run(checkout, runs(checkout)[0])
    again["silent"] = [1]
    assert reproduce(checkout, "cpu", "toy") == 0
    assert "1 run measured again" in capsys.readouterr().out


def test_a_batch_that_did_not_end_well_is_no_success(checkout, again):
    put_all(checkout)
    again["status"] = 1
    assert reproduce(checkout, "cpu", "toy") == 1


def test_an_interruption_is_passed_on(checkout, again, capsys):
    put_all(checkout)
    again["status"] = 130
    assert reproduce(checkout, "cpu", "toy") == 130
    assert capsys.readouterr().out == ""


def test_it_runs_in_a_copy_with_the_code_and_the_inputs_and_without_results(checkout, again):
    put_all(checkout)
    (checkout.root / "data").mkdir()
    (checkout.root / "data" / "words.txt").write_text("a b")
    batch = checkout.notebooks / "toy" / "batch.yaml"
    batch.write_text(batch.read_text() + "    inputs: [data/words.txt]\n")
    put_all(checkout)
    before = {path: path.stat().st_mtime_ns for path in checkout.root.rglob("*")}
    assert reproduce(checkout, "cpu", "toy", "01*", 3) == 0
    copied = {path.relative_to(again["copy"].root).as_posix() for path in again["files"]}
    assert {"data/words.txt", "lib/toy/method.py", "notebooks/toy/01_measure.ipynb", "requirements.lock"} <= copied
    assert not [path for path in copied if path.startswith("reports")]
    assert (again["order"].workers, again["order"].only) == (3, "01*")
    assert not again["copy"].root.exists()
    assert {path: path.stat().st_mtime_ns for path in checkout.root.rglob("*")} == before


def test_what_was_trained_is_used_again(checkout, again, monkeypatch):
    put_all(checkout)
    monkeypatch.delenv("SIX_PAPERS_ARTIFACTS", raising=False)
    reproduce(checkout, "cpu", "toy")
    assert again["artifacts"] == str(checkout.root / "artifacts")
    assert "SIX_PAPERS_ARTIFACTS" not in os.environ


def test_a_place_for_artifacts_that_was_chosen_stays(checkout, again, monkeypatch):
    put_all(checkout)
    monkeypatch.setenv("SIX_PAPERS_ARTIFACTS", "elsewhere")
    reproduce(checkout, "cpu", "toy")
    assert again["artifacts"] == os.environ["SIX_PAPERS_ARTIFACTS"] == "elsewhere"


_COMMANDS = """
import sys
from pathlib import Path
from lib.batch.accept import accept
from lib.batch.reproduce import reproduce
from lib.batch.runner import Order, run_batch
from lib.checkout import Checkout

checkout = Checkout(Path(sys.argv[1]))
assert run_batch(Order("cpu", "toy"), checkout, lambda checkout, profile: checkout.runs) == 0
accept(checkout, "cpu", "toy")
sys.exit(reproduce(checkout, "cpu", "toy"))
"""


def test_a_batch_with_real_kernels_is_accepted_and_reproduced(checkout):
    command = [sys.executable, "-c", _COMMANDS, str(checkout.root)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 records accepted" in done.stdout
    assert "Timings, which differ every time" in done.stdout  # the notebook records its process as its time
    assert "2 runs measured again against reports/runs: none of 10 metrics moved." in done.stdout
