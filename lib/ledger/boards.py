"""The board: every claim of every paper, judged on the records.

A verdict rests on the committed records. Beside it stands what was measured here just now, where that is newer. Nothing
that is wrong with one record or one claim hides the others: it is a fault, named with its remedy.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from lib.checkout import Checkout
from lib.ledger.claim import Claim, Status, Verdict
from lib.ledger.evidence import Kept, best_group, committed, groups, just_measured
from lib.ledger.faults import Fault
from lib.ledger.freshness import Freshness
from lib.ledger.rooms import Rooms
from lib.ledger.verdicts import JudgeError, judge
from lib.ledger.views import to_html, to_line


@dataclass(frozen=True)
class FreshVerdict:
    """What was measured just now says about a claim.

    Attributes:
        verdict: The verdict; `reason`, `measured` and `interval` as in `Verdict`.
        profile: Profile of the batch.
        model: What was measured on.
        runs: Folders of the runs, relative to the root.
        started: When the last of them began, UTC, ISO 8601.
    """

    verdict: Status
    reason: str
    measured: float | None
    interval: tuple[float, float] | None
    profile: str
    model: str
    runs: tuple[str, ...]
    started: str


@dataclass(frozen=True)
class Row:
    """One claim with its verdict.

    Attributes:
        id: "onebit.C1".
        paper: Its room.
        claim: The claim in one sentence.
        source: Where the paper makes it.
        verdict: The verdict; `reason`, `measured` and `interval` as in `Verdict`.
        unit: Unit of what was measured.
        paper_value: The paper's number or numbers, or None.
        paper_scale: What the paper measured on.
        scale: What it is tested on here.
        profile: Profile of the records it rests on, "" without any.
        model: What those were measured on.
        stale: Files of code changed since, relative to the root; empty if the evidence is current.
        notes: What else is to be known, e.g. that the lock has changed since.
        records: Paths of the records, relative to the root.
        paper_unit: Unit of the paper's numbers.
        fresh: What was measured just now, where that is newer.
    """

    id: str
    paper: str
    claim: str
    source: str
    verdict: Status
    reason: str
    measured: float | None
    interval: tuple[float, float] | None
    unit: str
    paper_value: float | tuple[float, ...] | None
    paper_scale: str
    scale: str
    profile: str = ""
    model: str = ""
    stale: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    records: tuple[str, ...] = ()
    paper_unit: str = ""
    fresh: FreshVerdict | None = None


@dataclass(frozen=True, repr=False)
class Board:
    """All rows, and what is wrong with what is left out. Its table shows committed evidence alone."""

    rows: tuple[Row, ...]
    faults: tuple[Fault, ...] = field(default=())

    def of(self, paper: str) -> "Board":
        """Return the rows and faults of one paper."""
        faults = (fault for fault in self.faults if paper in fault.where.replace(".", "/").split("/"))
        return Board(tuple(row for row in self.rows if row.paper == paper), tuple(faults))

    def __repr__(self) -> str:
        return to_line(self)

    def _repr_html_(self) -> str:
        return to_html(self)


def board(checkout: Checkout = Checkout(), fresh: bool = True) -> Board:
    """Judge every claim.

    Args:
        checkout: Whose claims and records.
        fresh: False to look at committed records alone, as README does.
    """
    rooms = Rooms(checkout)
    claims, faults = rooms.claims()
    kept, broken = committed(checkout, rooms)
    new, unread = just_measured(checkout, rooms) if fresh else ([], [])
    freshness = Freshness(checkout)
    newer = [each for each in new if freshness.is_current(each)]
    rows = []
    for claim in claims:
        row, row_faults = _row(claim, kept, newer, freshness)
        row = replace(row, reason=row.reason + _left_out(claim, row, broken))
        rows.append(row)
        faults += row_faults
    return Board(tuple(rows), (*faults, *broken, *unread))


def _row(claim: Claim, kept: list[Kept], new: list[Kept], freshness: Freshness) -> tuple[Row, list[Fault]]:
    evidence = _evidence(claim, kept)
    verdict, faults = _judged(claim, evidence)
    row = Row(
        id=claim.id,
        paper=claim.room,
        claim=claim.sentence,
        source=claim.source,
        verdict=verdict.status,
        reason=verdict.reason,
        measured=verdict.measured,
        interval=verdict.interval,
        unit=claim.unit,
        paper_value=claim.paper_value,
        paper_scale=claim.paper_scale,
        scale=claim.scale,
        profile=_joined(each.record.profile for each in evidence),
        model=_joined(each.record.metrics.model for each in evidence),
        stale=tuple(sorted({name for each in evidence for name in freshness.changed(each)})),
        notes=freshness.notes(evidence),
        records=tuple(each.path for each in evidence),
        paper_unit=claim.unit if claim.paper_unit is None else claim.paper_unit,
    )
    measured_now = _newer(claim, evidence, new)
    if not measured_now:
        return row, faults
    verdict, more = _judged(claim, _topped_up(claim, measured_now, evidence))
    return (row if more else replace(row, fresh=_fresh(verdict, measured_now))), [*faults, *more]


def _left_out(claim: Claim, row: Row, broken: Sequence[Fault]) -> str:
    """Say which records of the room were left out, where a claim has none: they may have been its own."""
    lost = [fault.where for fault in broken if f"/{claim.room}/" in fault.where]
    if row.records or not lost or not any(part.metrics for part in claim.parts):
        return ""
    return f"; left out, because damaged or missing: {', '.join(lost)}"


def _evidence(claim: Claim, kept: Sequence[Kept]) -> list[Kept]:
    """Return what a claim is judged on: for each type of metrics the group that weighs most."""
    kinds = dict.fromkeys(part.metrics for part in claim.parts if part.metrics)
    return [each for kind in kinds for each in best_group(_of_kind(kept, kind))]


def _newer(claim: Claim, evidence: list[Kept], new: Sequence[Kept]) -> list[Kept]:
    """Return what was measured last, group by group, where it is neither the evidence itself nor older."""
    found = []
    for kind in dict.fromkeys(part.metrics for part in claim.parts if part.metrics):
        old = _of_kind(evidence, kind)
        known, last = {each.record.checksum for each in old}, max(map(_started, old), default="")
        latest = max(groups(_of_kind(new, kind)), key=lambda group: max(map(_started, group)), default=[])
        if not {each.record.checksum for each in latest} <= known and max(map(_started, latest)) >= last:
            found += latest
    return found


def _topped_up(claim: Claim, new: list[Kept], evidence: list[Kept]) -> list[Kept]:
    """Add the committed evidence for the parts that were not measured just now."""
    measured = {type(each.record.metrics) for each in new}
    return new + [each for each in evidence if type(each.record.metrics) not in measured]


def _judged(claim: Claim, evidence: list[Kept]) -> tuple[Verdict, list[Fault]]:
    try:
        return judge(claim, [each.record.metrics for each in evidence]), []
    except JudgeError as error:
        fault = Fault(claim.id, str(error), f"mend the judge in lib/{claim.room}/claims.py")
        return Verdict(Status.NOT_MEASURED, str(error)), [fault]


def _fresh(verdict: Verdict, new: list[Kept]) -> FreshVerdict:
    return FreshVerdict(
        verdict=verdict.status,
        reason=verdict.reason,
        measured=verdict.measured,
        interval=verdict.interval,
        profile=_joined(each.record.profile for each in new),
        model=_joined(each.record.metrics.model for each in new),
        runs=tuple(each.path.rpartition("/")[0] for each in new),
        started=max(map(_started, new)),
    )


def _of_kind(kept: Iterable[Kept], kind: type) -> list[Kept]:
    return [each for each in kept if type(each.record.metrics) is kind]


def _started(kept: Kept) -> str:
    return kept.record.provenance.started if kept.record.provenance else ""


def _joined(names: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(names))
