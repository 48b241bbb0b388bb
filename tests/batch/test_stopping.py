"""Batches in a process of their own that are stopped or killed."""

import os
import signal

import psutil
import pytest

from lib.batch.plan import make_plan
from lib.batch.run import run_folders
from tests.batch.tree import LONG, all_gone, new_checkout, processes_of_long_run, start_batch, until, write_notebook


@pytest.fixture
def checkout(tmp_path):
    checkout = new_checkout(tmp_path)
    write_notebook(checkout, "01_quick", "open('ran', 'a').write('.')")
    write_notebook(checkout, "02_long", LONG)
    return checkout


def both_under_way(checkout, batch):
    """Wait until the quick run is done and the long one in its cell; return all processes of the batch but its own."""
    processes = processes_of_long_run(checkout)
    until(lambda: any(path.name.startswith("01") for path in run_folders(checkout, "quick")))
    return [*processes, *psutil.Process(batch.pid).children(recursive=True)]


def cached(checkout):
    return [planned.run.name for planned in make_plan(checkout) if planned.cached]


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_batch_ends_its_processes_and_keeps_what_is_done(checkout, number, status):
    batch = start_batch(checkout)
    processes = both_under_way(checkout, batch)
    os.killpg(batch.pid, number)  # as a terminal does: everybody hears it
    printed, _ = batch.communicate(timeout=60)
    assert batch.returncode == status
    assert all_gone(processes)
    assert cached(checkout) == ["01_quick"]
    assert "the same command goes on from here" in printed


def test_after_kill_9_nothing_is_left_and_the_next_batch_goes_on(checkout):
    batch = start_batch(checkout)
    processes = both_under_way(checkout, batch)
    batch.kill()
    batch.communicate()
    until(lambda: all_gone(processes))
    assert cached(checkout) == ["01_quick"]
    (checkout.notebooks / "demo" / "go_on").touch()
    again = start_batch(checkout)
    again.communicate(timeout=60)
    assert again.returncode == 0
    assert cached(checkout) == ["01_quick", "02_long"]
    assert (checkout.notebooks / "demo" / "ran").read_text() == "."
