"""A small checkout with a paper called `demo`, and ways to run batches in it."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import psutil

from lib.checkout import Checkout

ROOT = Path(__file__).resolve().parents[2]

_RUN = """
import sys
from pathlib import Path
from lib.batch.runner import Order, run_batch
from lib.checkout import Checkout

checkout = Checkout(Path(sys.argv[1]))
sys.exit(run_batch(Order(**eval(sys.argv[2])), checkout, lambda checkout, profile: checkout.index))
"""


def new_checkout(root: Path) -> Checkout:
    checkout = Checkout(root.resolve())
    for folder in (checkout.notebooks / "demo", checkout.lib / "demo"):
        folder.mkdir(parents=True)
    (checkout.lib / "demo" / "__init__.py").write_text("")
    checkout.lock.write_text("numpy==2.0\n")
    write_batch(checkout, "")
    return checkout


def write_batch(checkout: Checkout, text: str) -> None:
    (checkout.notebooks / "demo" / "batch.yaml").write_text(text)


def write_notebook(checkout: Checkout, name: str, *code: str, parameters: str | None = "seed: int = 0") -> Path:
    cells = [] if parameters is None else [_cell(parameters, ["parameters"])]
    path = checkout.notebooks / "demo" / f"{name}.ipynb"
    write_cells(path, [*cells, *(_cell(source) for source in code)])
    return path


def write_cells(path: Path, cells: list[dict]) -> None:
    kernel = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    notebook = {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    path.write_text(json.dumps(notebook))


def _cell(source: str, tags: list[str] | None = None) -> dict:
    return {
        "cell_type": "code",
        "id": f"c{abs(hash(source)) % 10**8}",
        "execution_count": None,
        "metadata": {"tags": tags} if tags else {},
        "outputs": [],
        "source": source,
    }


def start_batch(checkout: Checkout, **order) -> subprocess.Popen:
    """Start a batch in a process of its own."""
    command = [sys.executable, "-c", _RUN, str(checkout.root), repr(order)]
    return subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )


# A cell that starts processes of its own and goes on when it is told to.
LONG = """
import os, subprocess, sys, time
sleep = [sys.executable, "-c", "import time; time.sleep(100)"]
children = [subprocess.Popen(sleep), subprocess.Popen(sleep, start_new_session=True), subprocess.Popen(sleep, env={})]
with open("started.new", "w") as file:
    file.write(" ".join(str(pid) for pid in [os.getpid(), os.getppid(), *(child.pid for child in children)]))
os.rename("started.new", "started")
while not os.path.exists("go_on"):
    time.sleep(0.05)
"""


def processes_of_long_run(checkout: Checkout) -> list[psutil.Process]:
    """Wait for the cell LONG and return its kernel, the process of its run, and those that it started."""
    started = checkout.notebooks / "demo" / "started"
    until(started.exists)
    return [psutil.Process(int(pid)) for pid in started.read_text().split()]


def until(condition: Callable[[], object], seconds: float = 60) -> None:
    """Wait for something that another process does."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def all_gone(processes: Iterable[psutil.Process]) -> bool:
    return not any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in processes)
