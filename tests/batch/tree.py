"""A small checkout with a paper called `demo`, and ways to run batches in it."""

import json
import subprocess
import sys
from pathlib import Path

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
