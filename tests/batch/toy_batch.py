"""A checkout with the ledger's toy and a batch.yaml, and runs put there as a batch would."""

from dataclasses import replace
from pathlib import Path

from lib.batch.plan import make_plan
from lib.batch.run import NOTEBOOK_FILE, CellError, Outcome, Run, RunStatus
from lib.checkout import Checkout
from lib.ledger.records import RECORD_FILE, to_json
from tests.batch.tree import write_cells
from tests.ledger.toy import errors, provenance, toy_checkout, toy_record

# The batch sets PYTHONPATH to its checkout first; a regular package further down the path comes before a bare folder.
MEASURE = """
import os, pathlib
import lib
lib.__path__.append(str(pathlib.Path(os.environ["PYTHONPATH"].split(os.pathsep)[0]) / "lib"))
from lib import ledger
from lib.toy import method
from lib.toy.metrics import Errors
"""
RECORD = 'ledger.record(Errors("small", 10, method.half(seed), (0.5,), {"q": 0.125}, float(os.getpid())))'


def toy_batch(root: Path, seeds: str = "[0, 1]") -> Checkout:
    checkout = toy_checkout(root)
    tagged = {"cell_type": "code", "metadata": {"tags": ["parameters"]}, "source": "seed: int = 0"}
    cells = [tagged, *({"cell_type": "code", "metadata": {}, "source": source} for source in (MEASURE, RECORD))]
    cells = [cell | {"id": f"c{number}", "outputs": [], "execution_count": None} for number, cell in enumerate(cells)]
    write_cells(checkout.notebooks / "toy" / "01_measure.ipynb", cells)
    write_seeds(checkout, seeds)
    return checkout


def write_seeds(checkout: Checkout, seeds: str) -> None:
    text = f"cpu:\n  - notebook: 01_measure\n    grid: {{seed: {seeds}}}\n"
    (checkout.notebooks / "toy" / "batch.yaml").write_text(text)


def runs(checkout: Checkout) -> list[Run]:
    return [planned.run for planned in make_plan(checkout, "cpu", "toy")]


def put_run(checkout: Checkout, run: Run, status: RunStatus = RunStatus.DONE, **metrics) -> Path:
    """Put a run in its place with a record whose error is a quarter, unless `metrics` says otherwise."""
    folder = run.folder(checkout)
    folder.mkdir(parents=True, exist_ok=True)
    run.save(folder)
    (folder / NOTEBOOK_FILE).write_text("{}")
    made = replace(toy_record(checkout), metrics=errors(checkout, **metrics), parameters=run.parameters)
    (folder / RECORD_FILE).write_text(to_json(replace(made, provenance=provenance(checkout))))
    error = None if status is RunStatus.DONE else CellError(1, "ValueError", "no")
    Outcome(status, "2026-01-01T00:00:00+00:00", "2026-01-01T00:00:01+00:00", 1.0, error).save(folder)
    return folder


def put_all(checkout: Checkout, **metrics) -> list[Path]:
    return [put_run(checkout, run, **metrics) for run in runs(checkout)]
