"""Whole batches in this process, with real kernels."""

import contextlib
import io
import json

import psutil
import pytest

from lib.batch.orphans import members
from lib.batch.run import BatchSummary, Outcome, Run, RunStatus, run_folders
from lib.batch.runner import Order, run_batch
from tests.batch.tree import new_checkout, write_batch, write_notebook

GRANDCHILD = """
import subprocess, sys, time
sleep = [sys.executable, "-c", "import time; time.sleep(100)"]
children = [subprocess.Popen(sleep), subprocess.Popen(sleep, start_new_session=True), subprocess.Popen(sleep, env={})]
open("pids", "w").write(" ".join(str(child.pid) for child in children))
time.sleep(100)
"""
LEAVES = """
import subprocess
open("left", "w").write(str(subprocess.Popen(["sleep", "99"], start_new_session=True).pid))
"""
SHOW = "import os; print({name: os.environ.get(name) for name in %r})"
SEEN = ["OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES", "PYTHONHASHSEED", "SIX_PAPERS_QUIET", "SIX_PAPERS_RUN"]


def batch(checkout, **order):
    return run_batch(Order(**order), checkout, lambda checkout, profile: checkout.index)


@pytest.fixture(scope="module")
def ended(tmp_path_factory):
    """A batch in which one run goes well and others go wrong in every way, and what it printed."""
    checkout = new_checkout(tmp_path_factory.mktemp("ended"))
    write_notebook(checkout, "01_good", SHOW % SEEN, "import time; time.sleep(0.5)", "seed")
    write_notebook(checkout, "02_raises", "print('before')", "1 / 0", "print('after')")
    write_notebook(checkout, "03_dies", "import os; os.kill(os.getpid(), 9)")
    write_notebook(checkout, "04_hangs", GRANDCHILD)
    write_notebook(checkout, "05_disk", "raise OSError(28, 'No space left on device')")
    write_notebook(
        checkout,
        "06_leaves",
        LEAVES,
    )
    write_batch(
        checkout,
        "quick:\n  - {notebook: 01_good, parameters: {seed: 5}, threads: 2}\n"
        + "".join(f"  - notebook: {name}\n" for name in ("02_raises", "03_dies", "05_disk", "06_leaves"))
        + "  - {notebook: 04_hangs, limit_minutes: 0.06}\n",
    )
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        status = batch(checkout, workers=3)
    return checkout, status, printed.getvalue()


def folder(checkout, name):
    return next(path for path in run_folders(checkout, "quick") if path.name.startswith(name))


def outcome(ended, name):
    return Outcome.load(folder(ended[0], name))


def outputs(path):
    cells = json.loads((path / "notebook.ipynb").read_text())["cells"]
    return "".join("".join(output.get("text", "")) for cell in cells for output in cell.get("outputs", []))


def test_a_good_run_is_done_whatever_happens_to_the_others(ended):
    assert outcome(ended, "01").status is RunStatus.DONE
    assert outcome(ended, "01").duration_s > 0.5
    assert ended[1] == 1


def test_the_kernel_finds_its_parameters_and_environment(ended):
    printed = outputs(folder(ended[0], "01"))
    for name, value in zip(SEEN, ["2", "", "0", "1"], strict=False):
        assert f"'{name}': '{value}'" in printed
    assert "/.01_good-" in printed  # the working folder: a record lands in it
    assert Run.load(folder(ended[0], "01")).parameters == {"seed": 5}


def test_a_failing_cell_is_reported_with_its_error(ended):
    error = outcome(ended, "02").error
    assert outcome(ended, "02").status is RunStatus.FAILED
    assert (error.cell, error.name, error.message) == (2, "ZeroDivisionError", "division by zero")
    assert "1 / 0" in error.traceback and "\x1b" not in error.traceback
    assert "demo/02_raises: failed in cell 3\n    ZeroDivisionError: division by zero" in ended[2]


def test_the_notebook_of_a_failed_run_is_kept_up_to_the_error(ended):
    path = folder(ended[0], "02")
    assert outputs(path) == "before\n"
    cells = json.loads((path / "notebook.ipynb").read_text())["cells"]
    assert cells[outcome(ended, "02").error.cell]["source"] == ["1 / 0"]


def test_a_kernel_that_dies_is_told_from_a_failing_cell(ended):
    assert outcome(ended, "03").status is RunStatus.DIED
    assert outcome(ended, "03").error.cell == 1
    assert outcome(ended, "03").duration_s < 15


def test_the_time_limit_ends_a_run_with_all_that_it_started(ended):
    checkout = ended[0]
    assert outcome(ended, "04").status is RunStatus.TIMED_OUT
    assert "limit_minutes" in outcome(ended, "04").error.message
    assert (checkout.notebooks / "demo" / "pids").read_text().count(" ") == 2
    assert not [pid for pid in (checkout.notebooks / "demo" / "pids").read_text().split() if runs(int(pid))]


def test_a_full_disk_is_named(ended):
    assert "free some space" in outcome(ended, "05").error.message


def test_what_a_good_run_leaves_running_is_ended_too(ended):
    assert outcome(ended, "06").status is RunStatus.DONE
    assert not runs(int((ended[0].notebooks / "demo" / "left").read_text()))


def test_no_trace_of_the_machinery_stays_in_a_folder(ended):
    for path in run_folders(ended[0], "quick"):
        names = {found.name for found in path.iterdir()}
        assert names == {"run.json", "outcome.json", "notebook.ipynb", "log.txt"}
        assert not members(path.with_name(f".{path.name}"))


def test_the_batch_lists_its_runs_in_the_order_of_the_plan(ended):
    summary = BatchSummary.load(ended[0], "quick")
    assert [entry.folder.split("/")[2][:2] for entry in summary.runs] == ["01", "02", "03", "05", "06", "04"]
    assert not any(entry.cached for entry in summary.runs)
    assert summary.machine["cores"] >= 1


def test_a_second_batch_takes_what_is_done_and_runs_the_rest_again(tmp_path, capsys):
    checkout = new_checkout(tmp_path)
    write_notebook(checkout, "01_good", "open('ran', 'a').write('.')")
    bad = write_notebook(checkout, "02_bad", "1 / 0")
    assert batch(checkout) == 1
    bad.write_text(bad.read_text().replace("1 / 0", "1 / 1"))
    assert batch(checkout) == 0
    first, second = BatchSummary.load(checkout, "quick").runs
    assert (first.cached, second.cached) == (True, False)
    assert (second.previous_status, second.status) == (RunStatus.FAILED, RunStatus.DONE)
    assert (checkout.notebooks / "demo" / "ran").read_text() == "."
    assert batch(checkout) == 0
    assert "2 of 2 runs done (2 of them before)" in capsys.readouterr().out
    assert batch(checkout, only="01*", fresh=True) == 0
    assert (checkout.notebooks / "demo" / "ran").read_text() == ".."


def runs(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
