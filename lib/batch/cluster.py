"""The same runs on a Dask cluster: `--dask ADDRESS`, or `--dask local` for one on this machine.

Each Dask worker starts the program `lib.batch.worker` for a run, so that a run is a process of its own there too, and
writes to the shared folder. Needed: the same checkout under the same path on every node (checked at start). A run with
`gpus: 1` goes to workers that were started with `--resources GPU=1`.

What it leaves out: starting a cluster (dask-jobqueue does that for Slurm).
"""

import contextlib
import json
import platform
import subprocess
import sys
import uuid
from concurrent.futures import Future
from dataclasses import asdict, dataclass
from pathlib import Path

from lib.batch import gpu
from lib.batch.ended import Ended, ended
from lib.batch.errors import PlanError
from lib.batch.key import content
from lib.batch.pool import GRACE_S
from lib.batch.run import Run, utc_now
from lib.checkout import Checkout

LOCAL = "local"
_RETRIES = 2  # of a run whose Dask worker was lost; a failing cell is no reason to run it again
_VERSION = "2026.8.0"


@dataclass(frozen=True)
class _Node:
    """What a Dask worker sees."""

    token: bool
    content: str
    architecture: str
    gpu: str | None


class DaskPool:
    """Carries out runs on a Dask cluster."""

    def __init__(
        self, checkout: Checkout, address: str, workers: int, since: str = "", patience_s: float = 30.0
    ) -> None:
        """Connect, and check that every worker sees this checkout.

        Args:
            checkout: Under the same path on every node.
            address: Of the scheduler, such as "tcp://node1:8786", or "local".
            workers: How many workers a local cluster gets; a cluster that is there already has its own number.
            since: See `worker.work`.
            patience_s: How long to wait for the scheduler, and then for its first worker.

        Raises:
            PlanError: Dask is not installed, there is no such cluster, or its workers see something else.
        """
        self._checkout, self._since = checkout, since
        self._batch = f"batch-{uuid.uuid4().hex}"
        self._futures: list[Future[Ended]] = []
        self._client, self._cluster = _connect(address, workers, patience_s)
        try:
            self.nodes = _check(self._client, checkout)
        except BaseException:
            self._disconnect()
            raise

    @property
    def gpu_name(self) -> str | None:
        """The name of the GPU that the first worker with `GPU` among its resources has, or None."""
        offering = _offering_gpus(self._client)
        return next((node.gpu or "gpu" for name, node in sorted(self.nodes.items()) if name in offering), None)

    def submit(self, run: Run) -> "Future[Ended]":
        """Carry out a run on the worker that Dask chooses."""
        resources = {"resources": {"GPU": 1}} if run.gpus else {}
        executor = self._client.get_executor(pure=False, retries=_RETRIES, **resources)
        future = executor.submit(_carry_out, run, self._checkout.root, self._since, self._batch)
        self._futures.append(future)
        return future

    def stop(self) -> None:
        """End this batch's runs on all workers, cancel what waits; what others run there goes on."""
        for future in self._futures:
            future.cancel()
        with contextlib.suppress(Exception):  # a cluster that is gone has nothing left to stop
            # A worker may take up one more run before it hears of the cancellation.
            while any(self._client.run(_end_runs, self._batch).values()):
                pass

    def close(self) -> None:
        """Let go of the cluster; one that `local` started ends."""
        self._disconnect()

    def _disconnect(self) -> None:
        with contextlib.suppress(Exception):
            self._client.close()
        if self._cluster is not None:
            self._cluster.close()


def _connect(address: str, workers: int, patience_s: float) -> tuple:
    try:
        from distributed import Client, LocalCluster
    except ImportError as error:
        install = f"pip install 'dask=={_VERSION}' 'distributed=={_VERSION}'"
        raise PlanError(f"--dask needs Dask, which is not installed; {install}") from error
    if address == LOCAL:
        resources = {"GPU": 1} if gpu.name() else None
        cluster = LocalCluster(
            n_workers=workers, threads_per_worker=1, processes=True, dashboard_address=None, resources=resources
        )
        return Client(cluster, set_as_default=False), cluster
    try:
        client = Client(address, timeout=patience_s, set_as_default=False)
        client.wait_for_workers(1, timeout=patience_s)
    except (OSError, TimeoutError, ValueError) as error:
        raise PlanError(
            f"no Dask cluster with workers at {address!r} ({error}); take tcp://HOST:8786, or local"
        ) from error
    return client, None


def _check(client, checkout: Checkout) -> dict[str, _Node]:  # noqa: ANN001 - dask is imported where it is used
    own = _look(checkout.root, "")
    checkout.runs.mkdir(parents=True, exist_ok=True)
    token = checkout.runs / f".token-{uuid.uuid4().hex}"
    token.touch()
    try:
        nodes = client.run(_look, checkout.root, token.name)
    except Exception as error:
        raise PlanError(f"the Dask workers cannot import this checkout's lib ({error}); install it there") from error
    finally:
        token.unlink()
    for name, node in nodes.items():
        if not node.token:
            raise PlanError(f"Dask worker {name} does not see {checkout.runs}; share the checkout under this path")
        if (node.content, node.architecture) != (own.content, own.architecture):
            raise PlanError(
                f"Dask worker {name} has other notebooks, lib or lock, or another processor; bring it level"
            )
    return nodes


def _look(root: Path, token: str) -> _Node:
    checkout = Checkout(root)
    parts = [content(path) for path in (checkout.lib, checkout.notebooks, checkout.lock)]
    return _Node((checkout.runs / token).exists(), " ".join(parts), platform.machine(), gpu.name())


def _offering_gpus(client) -> set[str]:  # noqa: ANN001 - as above
    workers = client.scheduler_info(n_workers=-1)["workers"]
    return {name for name, facts in workers.items() if facts.get("resources", {}).get("GPU")}


def _carry_out(run: Run, root: Path, since: str, batch: str) -> Ended:
    started = utc_now()
    command = [sys.executable, "-m", "lib.batch.worker", str(root), since, batch]
    # A Dask worker may have no children by multiprocessing. Its own session: Ctrl-C is for the runner alone.
    process = subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE, start_new_session=True, text=True)
    process.stdin.write(json.dumps(asdict(run)))
    process.stdin.close()
    return ended(run, Checkout(root), process.wait(), started, utc_now())


def _end_runs(batch: str) -> int:
    import psutil

    ours = [child for child in psutil.Process().children() if batch in child.cmdline()]
    for child in ours:
        child.terminate()
    _, alive = psutil.wait_procs(ours, timeout=GRACE_S)
    for child in alive:
        child.kill()
    return len(ours)
