"""From batch.yaml to the list of runs: everything is checked here, before anything is started."""

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from lib.batch.batch_file import Entry, read_batch_file
from lib.batch.errors import PlanError, known
from lib.batch.folders import result
from lib.batch.key import code_state, content, device_class, run_key
from lib.batch.parameters import Parameter, read_parameters
from lib.batch.previous import experiment, previous_outcomes
from lib.batch.run import Outcome, Run
from lib.checkout import Checkout

QUICK = "quick"  # the profile that needs no entry: every notebook at its defaults
UNKNOWN_MINUTES = 0.5  # what a run is taken to cost where nothing tells
LEAST_LIMIT_S = 600.0


@dataclass(frozen=True)
class Planned:
    """A run with what is already known of it.

    Attributes:
        run: What is to be run.
        cached: The outcome that stands already, or None if it has to be run.
        previous: How the same notebook with the same parameters ended last, whatever the code was then, or None.
    """

    run: Run
    cached: Outcome | None = None
    previous: Outcome | None = None

    @property
    def minutes(self) -> float:
        """Expected minutes: those of the last time here, else those that batch.yaml states."""
        if self.previous and not self.previous.error:
            return self.previous.duration_s / 60
        return self.run.minutes or UNKNOWN_MINUTES


@dataclass(frozen=True)
class _Room:
    """A folder of notebooks with the entries of its batch.yaml; `paper` is "" for the notebooks that have none."""

    paper: str
    profiles: dict[str, tuple[Entry, ...]]
    notebooks: dict[str, Path]


def make_plan(
    checkout: Checkout,
    profile: str = QUICK,
    paper: str | None = None,
    only: str | None = None,
    fresh: bool = False,
    gpu_name: str | None = None,
) -> list[Planned]:
    """Return the runs of a profile, in the order of the notebooks.

    Args:
        checkout: Where the notebooks and earlier results are.
        profile: One of the profiles of the papers' batch.yaml.
        paper: One paper, or None for all of them and the notebooks that belong to none.
        only: A pattern such as "01_*" or "onebit/01*" that a notebook's name must match.
        fresh: Take no earlier result.
        gpu_name: The GPU that runs with `gpus: 1` would use, or None if there is none.

    Raises:
        PlanError: Something is unknown or malformed; nothing was started.
    """
    rooms = _rooms(checkout, paper)
    _refuse_unknown(profile, rooms)
    runs = [run for room in rooms for run in _room_runs(checkout, room, profile, gpu_name)]
    chosen = [run for run in runs if is_chosen(run.notebook, only)]
    if not chosen:
        names = ", ".join(dict.fromkeys(run.notebook for run in runs)) or "none"
        raise PlanError(f"no notebook of profile {profile!r} matches {only or '*'!r}; there are: {names}")
    _refuse_doubles(chosen)
    previous = previous_outcomes(checkout, profile)
    return [Planned(run, None if fresh else result(checkout, run), previous.get(experiment(run))) for run in chosen]


def is_chosen(notebook: str, only: str | None) -> bool:
    """Whether a pattern, or None for all, names a notebook such as "onebit/01_x", with its paper or without."""
    return only is None or fnmatchcase(notebook, only) or fnmatchcase(notebook.rpartition("/")[2], only)


def check_profile(checkout: Checkout, profile: str) -> None:
    """Raise PlanError, with the known ones, for a profile that no batch.yaml has."""
    _refuse_unknown(profile, _rooms(checkout, None))


def planned_experiments(checkout: Checkout, profile: str) -> set[str]:
    """Return the `experiment` of each run that a profile has now; empty where no batch.yaml has it any more.

    Raises:
        PlanError: A batch.yaml or a notebook is malformed.
    """
    rooms = _rooms(checkout, None)
    return {experiment(run) for room in rooms for run in _room_runs(checkout, room, profile, None)}


def _refuse_unknown(profile: str, rooms: list[_Room]) -> None:
    profiles = sorted({QUICK, *(name for room in rooms for name in room.profiles)})
    if profile not in profiles:
        raise PlanError(f"unknown profile {profile!r}; {known(profiles, profile)}")


def _rooms(checkout: Checkout, paper: str | None) -> list[_Room]:
    papers = checkout.papers()
    if paper is not None and paper not in papers:
        raise PlanError(f"unknown paper {paper!r}; {known(papers, paper)}")
    return [_room(checkout, name) for name in ([paper] if paper else ["", *papers])]


def _room(checkout: Checkout, paper: str) -> _Room:
    folder = checkout.notebooks / paper
    file = folder / "batch.yaml"
    profiles = read_batch_file(file, checkout.relative(file)) if file.is_file() else {}
    notebooks = {path.stem: path for path in sorted(folder.glob("*.ipynb"))}
    if not profiles.get(QUICK):
        at_defaults = tuple(Entry(name, checkout.relative(path)) for name, path in notebooks.items())
        profiles = profiles | {QUICK: at_defaults}
    return _Room(paper, profiles, notebooks)


def _room_runs(checkout: Checkout, room: _Room, profile: str, gpu_name: str | None) -> Iterator[Run]:
    entries = [entry for found in room.profiles.values() for entry in found]
    for entry in entries:
        if entry.notebook not in room.notebooks:
            raise PlanError(f"{entry.where}: no notebook {entry.notebook!r}; {known(room.notebooks, entry.notebook)}")
    paths = {entry.notebook: room.notebooks[entry.notebook] for entry in entries}
    declared = {name: read_parameters(path, checkout.relative(path)) for name, path in paths.items()}
    for entry in entries:  # of every profile, not only the one asked for: a file is right or it is mended
        list(_parameter_sets(entry, declared[entry.notebook]))
    wanted = room.profiles.get(profile, ())
    codes = {name: code_state(paths[name], checkout) for name in {entry.notebook for entry in wanted}}
    for entry in wanted:
        device, inputs = device_class(entry.gpus, gpu_name), _inputs(checkout, entry)
        for given, merged in _parameter_sets(entry, declared[entry.notebook]):
            key = run_key(codes[entry.notebook], merged, entry.threads, device, inputs)
            yield _run(entry, room.paper, profile, given, merged, key)


def _run(entry: Entry, paper: str, profile: str, given: dict[str, Any], merged: dict[str, Any], key: str) -> Run:
    return Run(
        notebook=f"{paper}/{entry.notebook}" if paper else entry.notebook,
        paper=paper,
        profile=profile,
        parameters=merged,
        given=given,
        key=key,
        threads=entry.threads,
        alone=entry.alone,
        gpus=entry.gpus,
        limit_s=60 * entry.limit_minutes if entry.limit_minutes else max(LEAST_LIMIT_S, 600 * (entry.minutes or 0)),
        minutes=entry.minutes,
    )


def _parameter_sets(entry: Entry, declared: dict[str, Parameter]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    doubled = sorted(set(entry.parameters) & set(entry.grid))
    if doubled:
        raise PlanError(f"{entry.where}: {', '.join(doubled)} stands in `parameters` and in `grid`; delete one of them")
    defaults = {name: parameter.default for name, parameter in declared.items()}
    for combination in entry.combinations():
        given = {}
        for name, value in combination.items():
            if name not in declared:
                hint = known(declared, name)
                raise PlanError(f"{entry.where}: {entry.notebook} has no parameter {name!r}; {hint}")
            try:
                given[name] = declared[name].value(value)
            except PlanError as error:
                raise PlanError(f"{entry.where}: {error}") from None
        yield given, defaults | given


def _inputs(checkout: Checkout, entry: Entry) -> dict[str, str]:
    hashes = {name: content(checkout.root / name) for name in entry.inputs}
    for name, found in hashes.items():
        if found == "absent" and not (checkout.root / name).is_relative_to(checkout.reports):  # those come with time
            raise PlanError(f"{entry.where}: input {name!r} does not exist; correct the path or delete it")
    return hashes


def _refuse_doubles(runs: list[Run]) -> None:
    seen: set[str] = set()
    for run in runs:
        if run.key in seen:
            raise PlanError(f"profile {run.profile!r} asks twice for {run.title}; delete one in batch.yaml")
        seen.add(run.key)
