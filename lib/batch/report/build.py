"""Build what is missing or outdated: pages of runs, pages of committed records, the index.

A page is outdated when its inputs or the code that builds it have changed; beside a run's page stands `page.json` with
the hash of both and what the index shows. nbconvert is imported only where a page has to be built.
"""

import contextlib
import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import cache
from importlib import metadata
from pathlib import Path

from lib.batch.report.external import external_references
from lib.batch.report.index import Pages, index_page
from lib.batch.report.record_page import record_page
from lib.batch.report.run_rows import BuiltRun
from lib.batch.run import NOTEBOOK_FILE, OUTCOME_FILE, RUN_FILE, Outcome, Run, RunFileError, run_folders
from lib.checkout import Checkout

PAGE_FILE = "page.html"
STAMP_FILE = "page.json"
RECORD_FILE = "record.json"
RECORD_PAGES = "records"  # below reports/runs
_INPUTS = (RUN_FILE, OUTCOME_FILE, NOTEBOOK_FILE, RECORD_FILE)
_PATIENCE = 5
_BUILDERS = ("nbconvert", "latex2mathml", "pygments", "mistune", "pillow")


class ReportError(ValueError):
    """The pages are built, but something in them is wrong; the message names each notebook and what to mend."""


@dataclass(frozen=True)
class _Stamp:
    """What is known of a built page without reading it."""

    inputs: str
    title: str
    thumbnail: str
    recorded: bool
    faults: tuple[str, ...]


def build_report(checkout: Checkout, profile: str) -> Path:
    """Build the pages that are missing or outdated, and the index; return the index.

    Args:
        checkout: Where the runs and the records lie.
        profile: The profile that the index shows first.

    Raises:
        ReportError: A formula cannot be shown, or a page refers to something outside itself. All pages are built then,
            too, with the faulty formula as its source.
    """
    from lib.ledger.boards import board

    stamps = {folder: stamp for folder in _folders(checkout) if (stamp := _built(folder, checkout))}
    runs = [built for folder, stamp in stamps.items() if (built := _built_run(folder, stamp, checkout))]
    verdicts = board(checkout)
    measured_by = _measured_by(checkout, list(stamps))
    records = _record_pages(checkout, measured_by, {fault.where: str(fault) for fault in verdicts.faults})
    faults = tuple(
        f"{checkout.relative(folder)}: {fault}" for folder, stamp in stamps.items() for fault in stamp.faults
    )
    index = index_page(verdicts, Pages(runs, records, measured_by, faults), checkout, profile)
    _write(checkout.index, index)
    faults += tuple(f"{checkout.relative(checkout.index)}: {each}" for each in external_references(index))
    if faults:
        raise ReportError("the report is built, but:\n  " + "\n  ".join(faults))
    return checkout.index


def _folders(checkout: Checkout) -> list[Path]:
    profiles = sorted(path.name for path in checkout.runs.glob("[!.]*") if path.is_dir() and path.name != RECORD_PAGES)
    for _ in range(_PATIENCE):
        # Another batch may put a folder in its place while we look.
        with contextlib.suppress(FileNotFoundError):
            return [folder for profile in profiles for folder in run_folders(checkout, profile)]
    return []


def _built(folder: Path, checkout: Checkout) -> _Stamp | None:
    """Build a run's page if it is missing or outdated; None for a folder that vanished or that no batch wrote."""
    inputs = _hash(folder / name for name in _INPUTS)
    known = _read_stamp(folder / STAMP_FILE)
    if known and known.inputs == inputs and (folder / PAGE_FILE).is_file():
        return known
    from lib.batch.report.page import run_page

    try:
        page = run_page(folder, checkout)
        stamp = _Stamp(inputs, page.title, page.thumbnail, page.recorded, page.faults)
        _write(folder / PAGE_FILE, page.html)
        _write(folder / STAMP_FILE, json.dumps(asdict(stamp), ensure_ascii=False))
    except (RunFileError, FileNotFoundError):
        return None  # replaced by another batch just now; that batch builds it
    return stamp


def _read_stamp(path: Path) -> _Stamp | None:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return _Stamp(**content | {"faults": tuple(content["faults"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _built_run(folder: Path, stamp: _Stamp, checkout: Checkout) -> BuiltRun | None:
    try:
        run, outcome = Run.load(folder), Outcome.load(folder)
    except RunFileError:
        return None
    name = checkout.relative(folder)
    page = Path(os.path.relpath(folder / PAGE_FILE, checkout.index.parent)).as_posix()
    return BuiltRun(name, page, run, outcome, stamp.title, stamp.thumbnail, stamp.recorded)


def _measured_by(checkout: Checkout, folders: list[Path]) -> dict[str, str]:
    """Return the folder of the run here that gave a committed record, by the record's path: the same file."""
    here = {_bytes(folder / RECORD_FILE): folder for folder in folders}
    found = {path: here.get(_bytes(path)) for path in checkout.records.glob("*/*/*.json") if _bytes(path)}
    return {checkout.relative(path): checkout.relative(folder) for path, folder in found.items() if folder}


def _record_pages(checkout: Checkout, measured_by: dict[str, str], faults: dict[str, str]) -> dict[str, str]:
    """Build the pages of the committed records, remove those of records that are gone; return their addresses."""
    pages: dict[str, str] = {}
    for path in sorted(checkout.records.glob("*/*/*.json")):
        name = checkout.relative(path)
        page = checkout.runs / RECORD_PAGES / path.relative_to(checkout.records).with_suffix(".html")
        run = measured_by.get(name, "")
        address = f"{os.path.relpath(checkout.root / run / PAGE_FILE, page.parent)}#record" if run else ""
        _write(page, record_page(path, page, checkout, address, faults.get(name, "")))
        pages[name] = page.relative_to(checkout.reports).as_posix()
    for old in (checkout.runs / RECORD_PAGES).glob("*/*/*.html"):
        if old.relative_to(checkout.reports).as_posix() not in pages.values():
            old.unlink(missing_ok=True)
    return pages


def _write(path: Path, text: str) -> None:
    """Write a file in one step, if its content is another."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = text.encode()
    if path.is_file() and path.read_bytes() == data:
        return
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_bytes(data)
    os.replace(temporary, path)


def _hash(paths: Iterable[Path]) -> str:
    digest = hashlib.sha256(_code_hash())
    for path in paths:
        digest.update(_bytes(path) or b"\0")
        digest.update(path.name.encode() + b"\0")
    return digest.hexdigest()


def _bytes(path: Path) -> bytes:
    """Return what a file holds, nothing if it is not there."""
    try:
        return path.read_bytes()
    except OSError:
        return b""


@cache
def _code_hash() -> bytes:
    """Return the hash of what builds pages: this package, its templates, the packages behind it."""
    here = Path(__file__).parent
    digest = hashlib.sha256()
    for path in sorted(here.rglob("*")):
        if path.is_file() and path.suffix != ".pyc":
            digest.update(path.relative_to(here).as_posix().encode() + b"\0" + path.read_bytes())
    for name in _BUILDERS:
        digest.update(f"{name} {metadata.version(name)}".encode())
    return digest.digest()
