"""What the batch runner costs on this machine: `python -m lib.batch.benchmark [overhead|cached|starts|kills …]`.

Four figures, each from batches of made-up notebooks in a temporary checkout, a few minutes in all. The notebooks wait
more than they compute, so that what is measured is the runner; its neighbours on the machine still count.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lib.batch.folders import result
from lib.batch.orphans import marked
from lib.batch.plan import make_plan
from lib.batch.run import NOTEBOOK_FILE, Outcome, RunStatus, run_folders
from lib.checkout import Checkout

_BATCH = """
import sys
from pathlib import Path
from lib.batch.__main__ import main
from lib.checkout import Checkout

sys.exit(main(sys.argv[2:], Checkout(Path(sys.argv[1]))))
"""


@dataclass(frozen=True)
class Figure:
    """One measured figure with its bound."""

    name: str
    value: float
    bound: float
    unit: str
    remark: str

    def __str__(self) -> str:
        verdict = "kept" if self.value <= self.bound else "MISSED"
        return f"{self.name}: {self.value:.3g} {self.unit} (bound {self.bound:g}, {verdict}); {self.remark}"


def overhead(notebooks: int = 16, seconds: float = 5.0, workers: int = 2) -> Figure:
    """Return the wall time of a batch over the ideal: the sum of its notebooks' solo times over the workers."""
    with tempfile.TemporaryDirectory() as folder:
        checkout = _checkout(Path(folder), notebooks, f"import time; time.sleep({seconds})")
        _batch(checkout, "--workers", "1", "--only", "0[0-3]*")
        durations = [Outcome.load(path).duration_s for path in run_folders(checkout, "quick")]
        solo = sum(durations) / len(durations)
        took, _ = _batch(checkout, "--workers", str(workers), "--fresh")
    ideal = notebooks * solo / workers
    remark = f"{notebooks} notebooks of {solo:.2f} s alone: {took:.1f} s with {workers} workers, pages included"
    return Figure("batch over the ideal", took / ideal, 1.25, "x", remark)


def cached(notebooks: int = 16) -> Figure:
    """Return the seconds of a second batch when nothing has changed, report included."""
    with tempfile.TemporaryDirectory() as folder:
        checkout = _checkout(Path(folder), notebooks, "seed")
        _batch(checkout)
        took, status = _batch(checkout)
    return Figure("second batch", took, 10.0, "s", f"{notebooks} notebooks, nothing changed, exit status {status}")


def starts(runs: int = 60, workers: int = 8) -> Figure:
    """Return how many of many short runs did not end well."""
    with tempfile.TemporaryDirectory() as folder:
        checkout = _checkout(Path(folder), runs, "seed")
        took, _ = _batch(checkout, "--workers", str(workers))
        good = [path for path in run_folders(checkout, "quick") if Outcome.load(path).status is RunStatus.DONE]
        over_tcp = sum("did not start over" in (path / "log.txt").read_text() for path in good)
    remark = f"{runs} runs, {workers} at a time, {took:.1f} s, {over_tcp} of them at the second try"
    return Figure("start failures", runs - len(good), 0, "runs", remark)


def kills(times: int = 20, notebooks: int = 60) -> Figure:
    """Return what kill -9 of the runner at random moments cost: lost results, torn folders, orphans, a failed end."""
    moments = random.Random(0)
    with tempfile.TemporaryDirectory() as folder:
        checkout = _checkout(Path(folder), notebooks, "import subprocess, time", "subprocess.Popen(['sleep', '600'])")
        orphans = lost = torn = 0
        done: set[Path] = set()
        for _ in range(times):
            _kill_after(checkout, ended=moments.randrange(4), seconds=moments.uniform(0.2, 3.0))
            orphans += _orphans_after(checkout, seconds=15)
            now = {planned.run.folder(checkout) for planned in make_plan(checkout) if planned.cached}
            lost += len(done - now)
            torn += sum(not _is_whole(path) for path in now)
            done = now
        _, status = _batch(checkout)
        undone = sum(result(checkout, planned.run) is None for planned in make_plan(checkout))
    remark = (
        f"{times} kills, {orphans} orphans, {lost} results lost, {torn} torn; {len(done)} of {notebooks} runs were "
        f"done by then, the last batch did the others and ended with {status}"
    )
    return Figure("losses after kill -9", orphans + lost + torn + undone + status, 0, "", remark)


def _checkout(root: Path, notebooks: int, *code: str) -> Checkout:
    checkout = Checkout(root.resolve())
    paper = checkout.notebooks / "benchmark"
    paper.mkdir(parents=True)
    (paper / "batch.yaml").write_text("")
    kernel = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    cells = [_cell("seed: int = 0", "parameters"), *(_cell(source) for source in code)]
    for number in range(notebooks):
        notebook = {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
        (paper / f"{number:02d}_x.ipynb").write_text(json.dumps(notebook))
    return checkout


def _cell(source: str, *tags: str) -> dict:
    cell = {"cell_type": "code", "execution_count": None, "metadata": {"tags": list(tags)}, "outputs": []}
    return {**cell, "id": f"c{len(source)}", "source": source}


def _start(checkout: Checkout, *arguments: str) -> subprocess.Popen:
    command = [sys.executable, "-c", _BATCH, str(checkout.root), "run", *arguments]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)


def _batch(checkout: Checkout, *arguments: str) -> tuple[float, int]:
    began = time.monotonic()
    status = _start(checkout, *arguments).wait()
    return time.monotonic() - began, status


def _kill_after(checkout: Checkout, ended: int, seconds: float) -> None:
    """Start a batch and kill its runner some time after some runs have ended."""
    enough = len(run_folders(checkout, "quick")) + ended
    runner = _start(checkout)
    while runner.poll() is None and len(run_folders(checkout, "quick")) < enough:
        time.sleep(0.05)
    time.sleep(seconds)
    runner.kill()
    runner.wait()


def _orphans_after(checkout: Checkout, seconds: float) -> int:
    deadline = time.monotonic() + seconds
    while orphans := [run for _, run in marked() if run.startswith(str(checkout.root))]:
        if time.monotonic() > deadline:
            return len(orphans)
        time.sleep(0.1)
    return 0


def _is_whole(folder: Path) -> bool:
    try:
        Outcome.load(folder)
        json.loads((folder / NOTEBOOK_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return True


FIGURES: dict[str, Callable[[], Figure]] = {
    "overhead": overhead,
    "cached": cached,
    "starts": starts,
    "kills": kills,
}


def _main() -> int:
    parser = argparse.ArgumentParser(prog="python -m lib.batch.benchmark", description=__doc__.partition("\n")[0])
    parser.add_argument("figures", nargs="*", metavar="FIGURE", help=f"some of: {', '.join(FIGURES)} (default: all)")
    wanted = parser.parse_args().figures or list(FIGURES)
    unknown = [name for name in wanted if name not in FIGURES]
    if unknown:
        parser.error(f"unknown figure {unknown[0]!r}; known: {', '.join(FIGURES)}")
    kept = True
    for name in wanted:
        figure = FIGURES[name]()
        kept = kept and figure.value <= figure.bound
        print(figure, flush=True)
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(_main())
