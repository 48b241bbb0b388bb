"""The runs as the index shows them: one table a profile, with what changed since the last batch."""

from dataclasses import dataclass
from typing import Any

from lib.batch.report.layout import duration, words
from lib.batch.run import BatchEntry, BatchSummary, Outcome, Run, RunFileError, RunStatus
from lib.checkout import Checkout

PROFILES = ("quick", "cpu", "gpu", "paper")  # the order in which they are shown; others follow


@dataclass(frozen=True)
class BuiltRun:
    """A run whose page stands.

    Attributes:
        folder: Relative to the root.
        page: Address of its page, relative to the index.
        run: What was run.
        outcome: What became of it.
        title: The notebook's H1.
        thumbnail: Its first figure as a `data:` address, or "".
        recorded: True if the page has a cell `#record` and the run left a record.
    """

    folder: str
    page: str
    run: Run
    outcome: Outcome
    title: str
    thumbnail: str
    recorded: bool


@dataclass(frozen=True)
class RunView:
    """One run as the index shows it; `anchor` is "" but for a notebook's first run."""

    built: BuiltRun
    anchor: str
    origin: str
    change: str
    status_before: str


@dataclass(frozen=True)
class ProfileView:
    """The runs of one profile, the words on its last batch, and the machine of that batch."""

    profile: str
    runs: tuple[RunView, ...]
    summary: str
    changes: str
    machine: tuple[tuple[str, str], ...]


def profile_views(checkout: Checkout, built: list[BuiltRun], first: str) -> list[ProfileView]:
    """Return the runs, profile by profile.

    Args:
        checkout: Where the batches' summaries lie.
        built: All runs with a page.
        first: The profile to show first.
    """
    found = {each.run.profile for each in built}
    order = [first, *PROFILES, *sorted(found)]
    anchors: set[str] = set()
    return [_profile(checkout, name, built, anchors) for name in dict.fromkeys(order) if name in found]


def _profile(checkout: Checkout, profile: str, built: list[BuiltRun], anchors: set[str]) -> ProfileView:
    try:
        batch: BatchSummary | None = BatchSummary.load(checkout, profile)
    except RunFileError:
        batch = None
    prefix = checkout.relative(checkout.runs)
    entries = {f"{prefix}/{entry.folder}": entry for entry in batch.runs} if batch else {}
    own = sorted((each for each in built if each.run.profile == profile), key=_place)
    views = []
    for each in own:
        views.append(_view(each, entries.get(each.folder), "" if each.run.notebook in anchors else each.run.notebook))
        anchors.add(each.run.notebook)
    machine = _machine(batch.machine) if batch else ()
    return ProfileView(profile, tuple(views), _summary(batch, own), _changes(views), machine)


def _place(each: BuiltRun) -> tuple[Any, ...]:
    """Notebooks of no paper first, then by name, then as the parameters sort."""
    return (
        each.run.paper,
        each.run.notebook,
        [(name, str(value)) for name, value in each.run.given.items()],
        each.folder,
    )


def _view(built: BuiltRun, entry: BatchEntry | None, anchor: str) -> RunView:
    if entry is None:
        return RunView(built, anchor, "earlier batch", "", "")
    if entry.cached:
        return RunView(built, anchor, "cached", "", "")
    before, now = entry.previous_duration_s, entry.duration_s
    change = (
        f"was {duration(before)}" + (f" ({_percent(now / before - 1)})" if before else "") if before is not None else ""
    )
    changed = entry.previous_status is not None and entry.previous_status != entry.status
    return RunView(built, anchor, "fresh", change, str(entry.previous_status) if changed else "")


def _percent(ratio: float) -> str:
    return f"{ratio:+.0%}".replace("-", "−").replace("%", "\u00a0%")


def _summary(batch: BatchSummary | None, own: list[BuiltRun]) -> str:
    if batch is None:
        return words(len(own), "run")
    cached = sum(entry.cached for entry in batch.runs)
    return (
        f"{words(len(batch.runs), 'run')} in the last batch, {len(batch.runs) - cached} fresh and {cached} cached, "
        f"with {words(batch.workers, 'worker')}"
    )


def _changes(views: list[RunView]) -> str:
    """Say which runs end otherwise than before, worst first."""
    broken = [view for view in views if view.status_before == RunStatus.DONE]
    mended = [view for view in views if view.status_before and view.built.outcome.status is RunStatus.DONE]
    parts = [
        f"{words(len(broken), 'run')} newly failing" if broken else "",
        f"{words(len(mended), 'run')} mended" if mended else "",
    ]
    return ", ".join(part for part in parts if part)


def _machine(facts: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    """Return a batch's facts about its machine as a person reads them."""
    names = {"memory_gb": "Memory", "gpus": "GPU", "system": "System", "python": "Python"}
    rows = []
    for name, value in facts.items():
        if isinstance(value, dict):
            text = ", ".join(f"{key}\u00a0{each}" for key, each in value.items())
        elif isinstance(value, list | tuple):
            text = ", ".join(map(str, value)) or "none"
        else:
            text = f"{value:.0f} GB" if name == "memory_gb" else str(value)
        rows.append((names.get(name, name.replace("_", " ").capitalize()), text))
    return tuple(rows)
