"""A batch on a Dask cluster of this machine."""

import subprocess
import sys

import pytest

from lib.batch.errors import PlanError
from lib.batch.plan import make_plan
from lib.batch.run import RunStatus
from tests.batch.tree import ROOT, new_checkout, write_notebook

pytest.importorskip("distributed")


@pytest.fixture(scope="module")
def cluster():
    from distributed import LocalCluster

    with LocalCluster(n_workers=1, threads_per_worker=2, processes=True, dashboard_address=None) as cluster:
        yield cluster


@pytest.fixture
def checkout(tmp_path):
    checkout = new_checkout(tmp_path)
    write_notebook(checkout, "01_good", "seed")
    write_notebook(checkout, "02_bad", "1 / 0")
    return checkout


def connect(checkout, cluster):
    from lib.batch.cluster import DaskPool

    return DaskPool(checkout, cluster.scheduler_address, workers=1)


def test_a_cluster_carries_out_the_same_runs(checkout, cluster):
    pool = connect(checkout, cluster)
    try:
        futures = [pool.submit(planned.run) for planned in make_plan(checkout)]
        assert [future.result(timeout=60).outcome.status for future in futures] == [RunStatus.DONE, RunStatus.FAILED]
        assert [planned.run.name for planned in make_plan(checkout) if planned.cached] == ["01_good"]
    finally:
        pool.close()


def test_workers_that_see_another_folder_are_refused(checkout, cluster, monkeypatch):
    monkeypatch.setattr("pathlib.Path.touch", lambda path: path.write_text("") if path.suffix else None)
    monkeypatch.setattr("pathlib.Path.unlink", lambda path: None)
    with pytest.raises(PlanError, match="share the checkout under this path"):
        connect(checkout, cluster)


def test_workers_that_have_other_code_are_refused(checkout, cluster, monkeypatch):
    monkeypatch.setattr("lib.batch.cluster.content", lambda path: "edited here only")
    with pytest.raises(PlanError, match="other notebooks, lib or lock"):
        connect(checkout, cluster)


_NO_WORKERS = """
import sys
from pathlib import Path
from distributed import LocalCluster
from lib.batch.cluster import DaskPool
from lib.batch.errors import PlanError
from lib.checkout import Checkout

with LocalCluster(n_workers=0, processes=True, dashboard_address=None) as cluster:
    try:
        DaskPool(Checkout(Path(sys.argv[1])), cluster.scheduler_address, workers=1, patience_s=0.5)
    except PlanError as error:
        print(error)
    print(len(cluster.scheduler.clients))
"""


def test_a_cluster_without_workers_is_refused_and_let_go(checkout):
    command = [sys.executable, "-W", "ignore", "-c", _NO_WORKERS, str(checkout.root)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    refusal, clients = done.stdout.splitlines()
    assert "no Dask cluster with workers at" in refusal
    assert clients == "1"  # the cluster's own


def test_an_address_without_cluster_is_refused(checkout):
    from lib.batch.cluster import DaskPool

    with pytest.raises(PlanError, match=r"no Dask cluster with workers at 'tcp://127\.0\.0\.1:1'"):
        DaskPool(checkout, "tcp://127.0.0.1:1", workers=1, patience_s=0.5)
