"""Records: what a run measured, with where it comes from, as one JSON file that notices any change.

A notebook makes one call, `record(metrics)`. It always returns the record, which shows itself as a table; it stores it
only where the batch has named the run's folder in `SIX_PAPERS_RUN`, so exploring leaves no evidence behind.
"""

import hashlib
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lib.checkout import Checkout
from lib.ledger.faults import RecordError
from lib.ledger.metrics import Metrics
from lib.ledger.provenance import Provenance, collect
from lib.ledger.show import record_html, record_line
from lib.ledger.typed import from_values, to_values

RUN = "SIX_PAPERS_RUN"
RECORD_FILE = "record.json"
FORMAT = 1


@dataclass(frozen=True, repr=False)
class Record:
    """What a run measured. Its text and table show the metrics alone, without timings: the same in every run.

    Attributes:
        metrics: What was measured.
        notebook: "onebit/01_separate_sign_and_value"; "" outside a batch, as are the profile and the provenance.
        profile: Profile of the batch.
        parameters: All of the notebook's parameters.
        threads: Threads that the numeric libraries had.
        provenance: Where it comes from, None outside a batch.
    """

    metrics: Metrics
    notebook: str = ""
    profile: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)
    threads: int = 1
    provenance: Provenance | None = None

    @property
    def seed(self) -> int | None:
        """The parameter `seed`, None where the notebook has none."""
        return self.parameters.get("seed")

    @property
    def metrics_type(self) -> str:
        """Module and name of the metrics, "lib.onebit.metrics.Separation"."""
        return f"{type(self.metrics).__module__}.{type(self.metrics).__qualname__}"

    @property
    def checksum(self) -> str:
        """SHA-256 of all that its file holds."""
        return checksum(_content(self))

    def __repr__(self) -> str:
        return record_line(self.metrics)

    def _repr_html_(self) -> str:
        return record_html(self.metrics)


def record(metrics: Metrics) -> Record:
    """Make the record of this notebook's run; the last call of every notebook.

    Args:
        metrics: What it measured, an instance of a dataclass of its room's `metrics.py`.

    Returns:
        The record, which shows itself as a table. In a batch it is stored as the run's record.json too.

    Raises:
        TypedError: A metric is not of its type, or not finite.
        RecordError: In a batch: this run has a record already, or its folder is none of a run.
    """
    values = to_values(metrics)
    made = Record(from_values(type(metrics), json.loads(json.dumps(values))))
    folder = os.environ.get(RUN)
    return _stored(made, Path(folder)) if folder else made


def file_name(notebook: str, parameters: dict[str, Any], threads: int) -> str:
    """Return a record's name among the committed ones: the notebook's, and 8 digits of the parameters' hash."""
    digest = hashlib.sha256(_canonical({"parameters": parameters, "threads": threads})).hexdigest()
    return f"{notebook.rpartition('/')[2]}-{digest[:8]}.json"


def to_json(kept: Record) -> str:
    """Return a record with provenance as the text of its file, checksum last."""
    content = _content(kept)
    return json.dumps(content | {"checksum": checksum(content)}, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def checksum(content: dict[str, Any]) -> str:
    """Return the SHA-256 of a record's content without its own `checksum`."""
    return hashlib.sha256(
        _canonical({name: value for name, value in content.items() if name != "checksum"})
    ).hexdigest()


def _content(kept: Record) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "metrics_type": kept.metrics_type,
        "metrics": to_values(kept.metrics),
        "notebook": kept.notebook,
        "profile": kept.profile,
        "parameters": kept.parameters,
        "seed": kept.seed,
        "threads": kept.threads,
        "provenance": to_values(kept.provenance) if kept.provenance else None,
    }


def _canonical(content: dict[str, Any]) -> bytes:
    return json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def _stored(made: Record, folder: Path) -> Record:
    path = folder / RECORD_FILE
    if path.exists():
        raise RecordError(
            "this run has a record already", "a notebook records once: put all of its metrics into one dataclass"
        )
    if not made.metrics_type.startswith("lib."):
        raise RecordError(
            f"{made.metrics_type} stands in no module of lib, so nobody could read this record again",
            "define it in its room's metrics.py",
        )
    run = _run_facts(folder)
    checkout = _checkout_of(folder, run["notebook"])
    provenance = collect(checkout.notebooks / f"{run['notebook']}.ipynb", checkout, bool(run.get("gpus")))
    kept = Record(made.metrics, run["notebook"], run["profile"], run["parameters"], run["threads"], provenance)
    temporary = path.with_name(f".{RECORD_FILE}.{os.getpid()}")
    temporary.write_text(to_json(kept), encoding="utf-8")
    os.replace(temporary, path)
    return kept


def _run_facts(folder: Path) -> dict[str, Any]:
    """Read the batch's run.json; the ledger knows of it no more than these five names."""
    try:
        run = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        return {name: run[name] for name in ("notebook", "profile", "parameters", "threads")} | {
            "gpus": run.get("gpus")
        }
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RecordError(
            f"{RUN}={folder} names no folder of a run ({type(error).__name__}: {error})",
            f"unset {RUN} to explore; `make reports` sets it itself",
        ) from error


def _checkout_of(folder: Path, notebook: str) -> Checkout:
    """Return the checkout that a run's folder lies in, or this library's own for a folder elsewhere."""
    above = (Checkout(parent) for parent in folder.resolve().parents)
    return next((each for each in above if (each.notebooks / f"{notebook}.ipynb").is_file()), Checkout())
