"""Accept a finished batch: check all of it, then copy its records to `reports/records` for the commit. All or nothing.

What it leaves out: the commit itself, and README's board (`make board`).
"""

import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lib.batch import gpu
from lib.batch.errors import PlanError
from lib.batch.plan import Planned, make_plan
from lib.checkout import Checkout
from lib.ledger.compare import differences
from lib.ledger.evidence import SUMS_FILE, Kept, committed_path, read_record, sums_text
from lib.ledger.faults import RecordError
from lib.ledger.fingerprint import code_cells
from lib.ledger.freshness import Freshness
from lib.ledger.records import RECORD_FILE, Record
from lib.ledger.rooms import Rooms

_IDENTITY = ("notebook", "profile", "parameters", "threads")  # what a record and its run agree in
_RECORDING = re.compile(r"^[^#\n]*\brecord\(", re.MULTILINE)


class AcceptError(PlanError):
    """The batch cannot be accepted; nothing was copied. The message names every run that is not in order."""


def accept(checkout: Checkout, profile: str, paper: str | None = None, allow_dirty: bool = False) -> list[Path]:
    """Copy the records of a finished batch to reports/records/<profile>/<paper>, and print what that changed.

    Records of parameters that are no longer in the plan are removed.

    Args:
        checkout: Whose batch.
        profile: Its profile.
        paper: One paper, or None for all.
        allow_dirty: True to take records measured with changes that were not committed.

    Returns:
        The files written and removed, sorted.

    Raises:
        AcceptError: A run is not done, has no valid record, or was measured by other code than is committed here.
        PlanError: The profile or the paper is unknown.
    """
    plan = make_plan(checkout, profile, paper, gpu_name=gpu.name())
    checks = _Checks(checkout, Rooms(checkout), Freshness(checkout), allow_dirty)
    found = [(planned, *checks.examined(planned)) for planned in plan]
    faults = [f"{planned.run.title}: {fault}" for planned, _, fault in found if fault]
    accepted = {
        committed_path(record, checkout): (planned.run.folder(checkout) / RECORD_FILE, record)
        for planned, record, _ in found
        if record is not None
    }
    if faults:
        raise AcceptError(
            "\n  ".join([f"{len(faults)} of {len(plan)} runs are not in order, nothing accepted:", *faults])
        )
    if not accepted:
        raise AcceptError(f"no notebook of profile {profile!r} makes a record: there is nothing to accept")
    outdated = [path for path in _present(checkout, profile, plan) if path not in accepted]
    changes = _changes(checkout, accepted, outdated)
    _write(checkout, {target: source for target, (source, _) in accepted.items()}, outdated)
    _say(checkout, changes, len(accepted))
    return sorted(changes)


@dataclass(frozen=True)
class _Checks:
    """What a run must pass."""

    checkout: Checkout
    rooms: Rooms
    freshness: Freshness
    allow_dirty: bool

    def examined(self, planned: Planned) -> tuple[Record | None, str | None]:
        """Return a run's record, and what is wrong; both None for a notebook that makes none."""
        run = planned.run
        again = f"make reports PROFILE={run.profile}" + (f" PAPER={run.paper}" if run.paper else "")
        if planned.cached is None:
            state = planned.previous.status.value if planned.previous else "never run"
            known = "done, but by other code or with another lock" if state == "done" else state
            return None, f"{known}; run {again}"
        path = run.folder(self.checkout) / RECORD_FILE
        if not run.paper:
            return None, None  # the start notebook belongs to no paper, so there is no claim it could speak for
        if not path.is_file():
            if any(map(_RECORDING.search, code_cells(run.source(self.checkout)))):
                return (
                    None,
                    f"done, but it left no record; delete {self.checkout.relative(path.parent)} and run {again}",
                )
            return None, None
        try:
            record = read_record(path, self.rooms)
        except RecordError as error:
            where = self.checkout.relative(path.parent)
            return None, f"its record is no evidence ({error.problem}); delete {where} and run {again}"
        return record, self._doubt(planned, record, again)

    def _doubt(self, planned: Planned, record: Record, again: str) -> str | None:
        run = planned.run
        if any(getattr(record, name) != getattr(run, name) for name in _IDENTITY):
            return (
                f"its record is that of {record.notebook} {record.parameters}; delete the run's folder and run {again}"
            )
        if changed := self.freshness.changed(Kept(record, "")):
            return f"measured before {', '.join(changed)} changed; run {again}"
        if record.provenance.dirty and not self.allow_dirty:
            anew = f"python -m lib.batch run --fresh --profile {run.profile} --paper {run.paper}"
            return f"measured with changes that were not committed; commit them and run {anew}"
        return None


def _present(checkout: Checkout, profile: str, plan: Sequence[Planned]) -> Iterator[Path]:
    """Yield the records that the papers of this plan have in this profile."""
    for paper in dict.fromkeys(planned.run.paper for planned in plan if planned.run.paper):
        yield from sorted((checkout.records / profile / paper).glob("*.json"))


def _changes(
    checkout: Checkout, accepted: dict[Path, tuple[Path, Record]], outdated: Sequence[Path]
) -> dict[Path, str]:
    """Return what becomes of each file, where something does."""
    changes = dict.fromkeys(outdated, "removed: no longer in the plan")
    for target, (source, record) in accepted.items():
        if not target.is_file():
            changes[target] = "new"
        elif target.read_bytes() != source.read_bytes():
            changes[target] = _change(target, record, checkout)
    return changes


def _change(target: Path, record: Record, checkout: Checkout) -> str:
    try:
        before = read_record(target, Rooms(checkout))
    except RecordError:
        return "replaced: the old one could not be read"
    moved = [each.name for each in differences(before.metrics, record.metrics) if not each.timing]
    return f"measured anew: {', '.join(moved)} moved" if moved else "measured anew: the same metrics"


def _write(checkout: Checkout, sources: dict[Path, Path], outdated: Sequence[Path]) -> None:
    """Copy all to one side first, so that a full disk shows before anything is replaced."""
    checkout.runs.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=checkout.runs, prefix=".accepting-") as aside:
        staged = {target: Path(aside) / str(number) for number, target in enumerate(sources)}
        for target, place in staged.items():
            shutil.copyfile(sources[target], place)
        for target, place in staged.items():
            target.parent.mkdir(parents=True, exist_ok=True)
            place.replace(target)
    for path in outdated:
        path.unlink()
    for folder in {path.parent for path in [*sources, *outdated]}:
        kept = list(folder.glob("*.json"))
        (folder / SUMS_FILE).write_text(sums_text(kept), encoding="utf-8")


def _say(checkout: Checkout, changes: dict[Path, str], accepted: int) -> None:
    for path in sorted(changes):
        print(f"{checkout.relative(path)}: {changes[path]}")
    print(f"{accepted} records accepted, {len(changes)} files changed. Now: make board, and commit.")
