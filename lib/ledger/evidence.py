"""The records there are: those that were committed, and those that batches here have just made.

reports/records/<profile>/<paper>/<NN_name>-<8 digits>.json     committed, by `make accept`
reports/records/<profile>/<paper>/SHA256SUMS                    what was accepted: a record that is gone is noticed
reports/runs/<profile>/<paper>/<NN_name>-<key>/record.json      of a run whose outcome.json says that it is done

What cannot be read is a fault with its remedy, and is left out.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from lib.checkout import Checkout
from lib.ledger.faults import Fault, RecordError
from lib.ledger.provenance import Provenance
from lib.ledger.records import FORMAT, RECORD_FILE, Record, checksum, file_name
from lib.ledger.rooms import Rooms
from lib.ledger.typed import from_values

SUMS_FILE = "SHA256SUMS"
_MEASURE_AGAIN = "measure again (make reports, then make accept)"
_FILE = "<file>"
_BRING_BACK = f"bring it back (git checkout -- {_FILE})"
_RUN_AGAIN = "delete the run's folder and run make reports again"


@dataclass(frozen=True)
class Kept:
    """A record and where it is kept.

    Attributes:
        record: The record.
        path: Of its file, relative to the root.
    """

    record: Record
    path: str


@dataclass(frozen=True)
class _RecordFile:
    """What a record's file holds."""

    format: int
    metrics_type: str
    metrics: dict[str, Any]
    notebook: str
    profile: str
    parameters: dict[str, Any]
    seed: Any
    threads: int
    provenance: Provenance
    checksum: str


def read_record(path: Path, rooms: Rooms) -> Record:
    """Read a record, strictly.

    Args:
        path: Its file.
        rooms: Where its metrics are defined.

    Raises:
        RecordError: It cannot be read, was changed, has another format, or does not fit its metrics.
    """
    content = _content(path)
    if content.get("format") != FORMAT:
        raise RecordError(f"has format {content.get('format')!r} instead of {FORMAT}", _MEASURE_AGAIN)
    if content.get("checksum") != checksum(content):
        problem = "its checksum does not match: it was changed after it was measured"
        raise RecordError(problem, f"{_BRING_BACK} or {_MEASURE_AGAIN}")
    try:
        file = from_values(_RecordFile, content)
        metrics = from_values(rooms.metrics_type(file.metrics_type), file.metrics, "metrics")
    except RecordError:
        raise
    except (TypeError, ValueError) as error:  # the metrics' own checks may raise either
        remedy = f"the code has moved on since: {_MEASURE_AGAIN}"
        raise RecordError(f"does not fit {content.get('metrics_type')} ({error})", remedy) from error
    return Record(metrics, file.notebook, file.profile, file.parameters, file.threads, file.provenance)


def committed(checkout: Checkout, rooms: Rooms) -> tuple[list[Kept], list[Fault]]:
    """Return the committed records, sorted by path, and what is wrong with those left out."""
    paths = sorted(checkout.records.glob("*/*/*.json"))
    kept, faults = _read_all(paths, checkout, lambda path: _in_its_place(read_record(path, rooms), path, checkout))
    return kept, sorted([*faults, *_missing(checkout)], key=lambda fault: fault.where)


def just_measured(checkout: Checkout, rooms: Rooms) -> tuple[list[Kept], list[Fault]]:
    """Return the records of the runs done here, sorted by path, and what is wrong with those left out."""
    outcomes = [*checkout.runs.glob("*/*/outcome.json"), *checkout.runs.glob("*/*/*/outcome.json")]
    folders = [path.parent for path in outcomes if not path.parent.name.startswith(".") and _is_done(path)]
    paths = sorted(path for folder in folders if (path := folder / RECORD_FILE).is_file())
    kept, faults = _read_all(paths, checkout, lambda path: read_record(path, rooms))
    return kept, [replace(fault, remedy=_RUN_AGAIN) for fault in faults]


class Measured(Protocol):
    """What names a measurement: a record, or the run that makes one."""

    notebook: str
    profile: str
    parameters: dict[str, Any]
    threads: int


def committed_path(measured: Measured, checkout: Checkout) -> Path:
    """Return where the record of a measurement is kept once it is accepted."""
    folder = checkout.records / measured.profile / measured.notebook.rpartition("/")[0]
    return folder / file_name(measured.notebook, measured.parameters, measured.threads)


def sums(folder: Path) -> dict[str, str]:
    """Return what was accepted into a folder: SHA-256 by file name."""
    file = folder / SUMS_FILE
    lines = file.read_text(encoding="utf-8", errors="replace").splitlines() if file.is_file() else []
    return {name: digest for digest, _, name in (line.partition("  ") for line in lines) if name}


def sums_text(files: Iterable[Path]) -> str:
    """Return the text of a SHA256SUMS file, which `sha256sum --check` reads too."""
    return "".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in sorted(files))


def best_group(kept: Sequence[Kept]) -> list[Kept]:
    """Return the records of one kind that weigh most: of the largest model, then most seeds, then most records.

    Args:
        kept: Records of one type of metrics; those of one profile and one model stand together.
    """
    return max(groups(kept), key=_weight, default=[])


def groups(kept: Sequence[Kept]) -> list[list[Kept]]:
    """Return records by profile and model, in the order of the profiles' names."""
    found: dict[tuple[str, str, int], list[Kept]] = {}
    for each in kept:
        metrics = each.record.metrics
        found.setdefault((each.record.profile, metrics.model, metrics.model_parameters), []).append(each)
    return [found[key] for key in sorted(found)]


def _weight(group: list[Kept]) -> tuple[int, int, int]:
    seeds = {json.dumps(each.record.seed) for each in group}
    return group[0].record.metrics.model_parameters, len(seeds), len(group)


def _content(path: Path) -> dict:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RecordError(f"cannot be read ({error})", f"{_BRING_BACK} or {_MEASURE_AGAIN}") from error
    if not isinstance(content, dict):
        raise RecordError(f"holds {type(content).__name__} instead of an object", _MEASURE_AGAIN)
    return content


def _in_its_place(record: Record, path: Path, checkout: Checkout) -> Record:
    expected = committed_path(record, checkout)
    if path != expected:  # a copy under another name would count twice
        where = expected.relative_to(checkout.root).as_posix()
        raise RecordError(f"is the record of {where}", "delete this copy, or run make accept")
    accepted = sums(path.parent).get(path.name)
    if accepted is not None and accepted != hashlib.sha256(path.read_bytes()).hexdigest():
        raise RecordError("is not the file that was accepted", f"{_BRING_BACK} or run make accept")
    return record


def _missing(checkout: Checkout) -> Iterator[Fault]:
    for file in sorted(checkout.records.glob(f"*/*/{SUMS_FILE}")):
        for name in sums(file.parent):
            if not (file.parent / name).is_file():
                where = (file.parent / name).relative_to(checkout.root).as_posix()
                remedy = f"{_BRING_BACK} or {_MEASURE_AGAIN}".replace(_FILE, where)
                yield Fault(where, "was accepted and is gone", remedy)


def _is_done(outcome: Path) -> bool:
    try:
        return json.loads(outcome.read_text(encoding="utf-8"))["status"] == "done"
    except (OSError, ValueError, KeyError, TypeError):
        return False  # the batch says what is wrong with it


def _read_all(
    paths: Iterable[Path], checkout: Checkout, read: Callable[[Path], Record]
) -> tuple[list[Kept], list[Fault]]:
    kept, faults = [], []
    for path in paths:
        where = path.relative_to(checkout.root).as_posix()
        try:
            kept.append(Kept(read(path), where))
        except RecordError as error:
            faults.append(Fault(where, error.problem, error.remedy.replace(_FILE, where)))
    return kept, faults
