"""The local pool in this process: what happens to single runs."""

import os
from concurrent.futures import wait

import pytest

from lib.batch.folders import working_folder
from lib.batch.plan import make_plan
from lib.batch.pool import LocalPool
from lib.batch.run import Outcome, RunStatus
from tests.batch.tree import (
    LONG,
    all_gone,
    new_checkout,
    processes_of_long_run,
    until,
    write_batch,
    write_notebook,
)


@pytest.fixture
def checkout(tmp_path):
    checkout = new_checkout(tmp_path)
    write_notebook(checkout, "01_long", "open('ran', 'a').write('.')", LONG)
    return checkout


@pytest.fixture
def new_pool(checkout):
    pools = []

    def new_pool(**options):
        pools.append(LocalPool(checkout, workers=1, **options))
        return pools[-1]

    yield new_pool
    for pool in pools:
        pool.stop()
        pool.close()


def run_of(checkout):
    return make_plan(checkout)[0].run


def test_a_worker_that_is_killed_costs_its_run_and_leaves_nothing(checkout, new_pool):
    future = new_pool().submit(run_of(checkout))
    kernel, worker, *children = processes_of_long_run(checkout)
    worker.kill()
    ended = future.result(timeout=60)
    assert ended.outcome.status is RunStatus.DIED
    assert "killed by signal 9" in ended.outcome.error.message
    assert Outcome.load(ended.run.folder(checkout)) == ended.outcome
    assert all_gone([kernel, *children])


def test_the_second_of_two_batches_takes_the_result_of_the_first(checkout, new_pool):
    run, first, second = run_of(checkout), new_pool(), new_pool()
    future = first.submit(run)
    processes_of_long_run(checkout)
    other = second.submit(run)
    until(other.running)
    (checkout.notebooks / "demo" / "go_on").touch()
    assert future.result(timeout=60).cached is False
    assert other.result(timeout=60).cached is True
    assert other.result().outcome == future.result().outcome
    assert (checkout.notebooks / "demo" / "ran").read_text() == "."


def test_a_stopped_pool_ends_what_runs_and_cancels_what_waits(checkout, new_pool):
    pool, run = new_pool(), run_of(checkout)
    running, waiting = pool.submit(run), pool.submit(run)
    processes = processes_of_long_run(checkout)
    pool.stop()
    assert running.result(timeout=60).outcome.status is RunStatus.INTERRUPTED
    assert wait([waiting], timeout=60).done == {waiting}
    assert waiting.cancelled()
    assert all_gone(processes)
    assert not working_folder(checkout, run).exists()


def test_a_good_result_is_not_replaced_by_an_interrupted_one(checkout, new_pool):
    go_on = checkout.notebooks / "demo" / "go_on"
    go_on.touch()
    run = run_of(checkout)
    good = new_pool().submit(run).result(timeout=60).outcome
    os.remove(go_on)
    os.remove(go_on.with_name("started"))
    pool = new_pool(since=good.finished)
    future = pool.submit(run)
    processes_of_long_run(checkout)
    pool.stop()
    assert future.result(timeout=60).stored is False
    assert Outcome.load(run.folder(checkout)) == good


@pytest.mark.parametrize("setting", ["alone: true", "threads: 2", "threads: 8"])
def test_a_run_that_takes_two_workers_waits_for_both(checkout, setting):
    write_notebook(checkout, "02_short")
    write_batch(checkout, f"cpu:\n  - {{notebook: 01_long}}\n  - {{notebook: 02_short, {setting}}}\n")
    long, short = (planned.run for planned in make_plan(checkout, "cpu"))
    pool = LocalPool(checkout, workers=2)
    running, waiting = pool.submit(long), pool.submit(short)
    processes_of_long_run(checkout)
    assert not waiting.running()
    (checkout.notebooks / "demo" / "go_on").touch()
    assert waiting.result(timeout=60).outcome.started >= running.result(timeout=60).outcome.finished
    pool.close()
