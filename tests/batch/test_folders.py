import contextlib
import os
import subprocess
from dataclasses import replace

import psutil
import pytest

from lib.batch.folders import lock, new_working_folder, put_in_place, result, sweep, working_folder
from lib.batch.run import Outcome, Run, RunStatus
from lib.checkout import Checkout
from tests.batch.tree import all_gone

RUN = Run("demo/01_x", "demo", "quick", {"seed": 0}, {}, "0123456789ab")
DONE = Outcome(RunStatus.DONE, "2026-01-01T00:00:00", "2026-01-01T00:00:02", 2.0)
FAILED = replace(DONE, status=RunStatus.FAILED)


@pytest.fixture
def checkout(tmp_path):
    return Checkout(tmp_path)


def carry_out(checkout, run=RUN, outcome=DONE, text="{}"):
    folder = new_working_folder(checkout, run)
    run.save(folder)
    (folder / "notebook.ipynb").write_text(text)
    outcome.save(folder)
    return folder


def finish(checkout, *arguments, **options):
    carry_out(checkout, *arguments, **options)
    put_in_place(checkout, options.get("run", RUN))


def test_a_run_shows_nothing_until_it_has_ended(checkout):
    carry_out(checkout)
    assert result(checkout, RUN) is None
    put_in_place(checkout, RUN)
    assert result(checkout, RUN) == DONE
    assert not working_folder(checkout, RUN).exists()


@pytest.mark.parametrize("missing", ["run.json", "outcome.json", "notebook.ipynb"])
def test_an_incomplete_folder_is_no_result(checkout, missing):
    finish(checkout)
    (RUN.folder(checkout) / missing).unlink()
    assert result(checkout, RUN) is None


def test_a_run_that_failed_is_no_result(checkout):
    finish(checkout, outcome=FAILED)
    assert result(checkout, RUN) is None


def test_a_folder_is_replaced_whole(checkout):
    finish(checkout, outcome=FAILED)
    (RUN.folder(checkout) / "page.html").write_text("of the failed run")
    finish(checkout)
    assert sorted(path.name for path in RUN.folder(checkout).iterdir()) == [
        "notebook.ipynb",
        "outcome.json",
        "run.json",
    ]


def test_results_of_older_code_are_removed_those_of_other_parameters_stay(checkout):
    older, other = replace(RUN, key="a" * 12), replace(RUN, key="b" * 12, parameters={"seed": 1})
    finish(checkout, run=older)
    finish(checkout, run=other)
    finish(checkout)
    assert not older.folder(checkout).exists()
    assert result(checkout, other) and result(checkout, RUN)


def test_a_sweep_removes_what_a_killed_batch_was_writing(checkout):
    carry_out(checkout)
    sweep(checkout)
    assert not working_folder(checkout, RUN).exists()


def test_a_sweep_leaves_what_a_living_batch_is_writing(checkout):
    carry_out(checkout)
    with lock(checkout, RUN):
        sweep(checkout)
    assert working_folder(checkout, RUN).exists()


def test_a_sweep_brings_back_a_result_that_was_being_replaced(checkout):
    finish(checkout)
    place = RUN.folder(checkout)
    os.rename(place, place.with_name(f".old-{place.name}"))
    sweep(checkout)
    assert result(checkout, RUN) == DONE


def test_a_sweep_removes_what_was_replaced(checkout):
    finish(checkout)
    old = RUN.folder(checkout).with_name(f".old-{RUN.folder(checkout).name}")
    old.mkdir()
    sweep(checkout)
    assert not old.exists()
    assert result(checkout, RUN) == DONE


@pytest.mark.parametrize("alive", [True, False], ids=["living batch", "killed batch"])
def test_a_sweep_ends_the_processes_of_killed_batches_alone(checkout, alive):
    environment = {**os.environ, "SIX_PAPERS_RUN": str(working_folder(checkout, RUN))}
    process = subprocess.Popen(["sleep", "60"], env=environment, start_new_session=True)
    seen = psutil.Process(process.pid)
    with lock(checkout, RUN) if alive else contextlib.nullcontext():
        assert sweep(checkout) == (0 if alive else 1)
    assert all_gone([seen]) is not alive
    process.kill()
    process.wait()
