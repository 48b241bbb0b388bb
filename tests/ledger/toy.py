"""A small checkout with a room called `toy`: two claims, one notebook that measures one of them."""

import json
from pathlib import Path

from lib.checkout import Checkout
from lib.ledger.evidence import SUMS_FILE, committed_path, sums_text
from lib.ledger.fingerprint import notebook_code_hash, sources
from lib.ledger.provenance import Device, Provenance, lock_hash
from lib.ledger.records import RECORD_FILE, Record, to_json
from lib.ledger.rooms import Rooms

NOTEBOOK = "toy/01_measure"

METRICS = '''
"""What the toy's notebook measures."""
from dataclasses import dataclass
from lib.ledger import Metrics, timing

@dataclass(frozen=True)
class Errors(Metrics):
    """Errors."""
    error: float
    by_layer: tuple[float, ...]
    by_type: dict[str, float]
    seconds: float = timing()
'''

CLAIMS = '''
"""What the toy claims."""
from lib.ledger import Claim, Part, below, over_seeds
from lib.toy.metrics import Errors

def _small(metrics):
    return below(over_seeds([each.error for each in metrics]), 0.5, no_effect=1.0)

CLAIMS = (
    Claim("toy.C1", "The error | is small.", "Table 1", 0.3, "%", "a large model", "a small model",
          (Part("error", Errors, _small),)),
    Claim("toy.C2", "It is fast.", "Fig. 2", (1.0, 2.0), "s", "a large model", "a GPU",
          (Part("speed", None, None, "needs a GPU"),)),
)
'''

METHOD = '"""The toy\'s method."""\n\ndef half(x):\n    """Half of x."""\n    return x / 2\n'


def toy_checkout(root: Path) -> Checkout:
    checkout = Checkout(root.resolve())
    room = checkout.lib / "toy"
    room.mkdir(parents=True)
    (checkout.notebooks / "toy").mkdir(parents=True)
    (room / "__init__.py").write_text('"""A toy."""\n')
    (room / "metrics.py").write_text(METRICS)
    (room / "claims.py").write_text(CLAIMS)
    (room / "method.py").write_text(METHOD)
    checkout.lock.write_text("numpy==2.0\n")
    write_notebook(checkout.notebooks / f"{NOTEBOOK}.ipynb", "seed: int = 0", "from lib.toy import method, metrics")
    return checkout


def write_notebook(path: Path, *code: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    cells = [{"cell_type": "code", "source": source, "metadata": {}, "outputs": []} for source in code]
    path.write_text(json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
    return path


def errors(checkout: Checkout, error: float = 0.25, model: str = "small", size: int = 10, seconds: float = 1.5):
    kind = Rooms(checkout).metrics_type("lib.toy.metrics.Errors")
    return kind(model, size, error, (error, 0.5), {"q": 0.125, "k": 1.0}, seconds)


def provenance(checkout: Checkout, started: str = "2026-01-02T03:04:05+00:00", dirty: bool = False) -> Provenance:
    notebook = checkout.notebooks / f"{NOTEBOOK}.ipynb"
    return Provenance(
        commit="c" * 40,
        dirty=dirty,
        content=None,
        lock_hash=lock_hash(checkout),
        notebook_hash=notebook_code_hash(notebook),
        sources=sources(notebook, checkout),
        versions={"numpy": "2.0"},
        python="3.11.0",
        device=Device("cpu-x86_64", "a processor", 2),
        started=started,
        duration_s=1.0,
    )


def toy_record(checkout: Checkout, seed: int = 0, profile: str = "cpu", started: str = "", **metrics) -> Record:
    made = provenance(checkout, started) if started else provenance(checkout)
    return Record(errors(checkout, **metrics), NOTEBOOK, profile, {"seed": seed}, 1, made)


def commit(checkout: Checkout, *records: Record) -> list[Path]:
    """Put records where `accept` puts them."""
    paths = []
    for record in records:
        path = committed_path(record, checkout)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(to_json(record), encoding="utf-8")
        paths.append(path)
    for folder in {path.parent for path in paths}:
        (folder / SUMS_FILE).write_text(sums_text(folder.glob("*.json")))
    return paths


def run(checkout: Checkout, record: Record, status: str = "done", key: str = "0" * 12) -> Path:
    """Put a record where a run puts it."""
    folder = checkout.runs / record.profile / "toy" / f"01_measure-{key}"
    folder.mkdir(parents=True)
    (folder / RECORD_FILE).write_text(to_json(record), encoding="utf-8")
    (folder / "outcome.json").write_text(json.dumps({"status": status}))
    return folder
