"""batch.yaml, read strictly: unknown keys, wrong types and doubled keys are errors that name their line.

quick:                                  # a profile
  - notebook: 01_separate_sign_and_value
    parameters: {model: smollm2-135m}   # all of these are optional
    grid: {seed: [0, 1, 2]}             # one run for each element of the product
    threads: 2                          # takes the place of two runs of one thread
    alone: true                         # nothing runs beside it: for timings
    gpus: 0
    minutes: 1.0                        # measured, on two cores
    limit_minutes: 10
    inputs: [reports/records]           # files and folders that the result depends on
"""

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from lib.batch.errors import PlanError, known

_PROFILE = re.compile(r"[a-z0-9][a-z0-9_]*")
_RESERVED = "records"  # reports/runs/records holds the pages of committed records


@dataclass(frozen=True)
class Entry:
    """One item of a profile: a notebook with its parameters.

    Attributes:
        notebook: File name without ending.
        where: "notebooks/onebit/batch.yaml, line 7", for messages.
        parameters: Values by name.
        grid: Lists of values by name.
        threads: Threads of each run.
        alone: Whether nothing may run beside it on its machine.
        gpus: 0 or 1.
        minutes: Expected minutes a run, or None.
        limit_minutes: Minutes after which a run is ended, or None.
        inputs: Paths relative to the checkout's root.
    """

    notebook: str
    where: str
    parameters: dict[str, Any] = field(default_factory=dict)
    grid: dict[str, list[Any]] = field(default_factory=dict)
    threads: int = 1
    alone: bool = False
    gpus: int = 0
    minutes: float | None = None
    limit_minutes: float | None = None
    inputs: tuple[str, ...] = ()

    def combinations(self) -> Iterator[dict[str, Any]]:
        """Yield the parameters of each run: one choice from the grid, which tells it from the others, then the rest."""
        for choice in itertools.product(*self.grid.values()):
            yield {**dict(zip(self.grid, choice, strict=True)), **self.parameters}


def read_batch_file(path: Path, shown: str) -> dict[str, tuple[Entry, ...]]:
    """Return the entries of each profile.

    Args:
        path: The file.
        shown: How messages name it.

    Raises:
        PlanError: The file is malformed, or says something that is not understood.
    """
    try:
        root = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise PlanError(f"{shown}, line {mark.line + 1 if mark else '?'}: not YAML: {error.problem}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise PlanError(f"{shown}: not YAML: {error}") from error
    if root is None:
        return {}
    profiles = _mapping(root, shown, "a mapping from profiles to lists of runs")
    return {name: _profile(name, node, shown) for name, node in profiles.items()}


def _profile(name: str, node: yaml.Node, shown: str) -> tuple[Entry, ...]:
    if not _PROFILE.fullmatch(name) or name == _RESERVED:
        raise PlanError(f"{_at(node, shown)}: profile {name!r}: use lower-case letters, digits, _; not {_RESERVED!r}")
    if not isinstance(node, yaml.SequenceNode):
        raise PlanError(f"{_at(node, shown)}: profile {name!r}: expected a list of `- notebook: …`")
    return tuple(_entry(item, shown) for item in node.value)


def _entry(node: yaml.Node, shown: str) -> Entry:
    where = _at(node, shown)
    found = _mapping(node, shown, "`notebook: …` with its settings")
    for key in found:
        if key not in _SETTINGS:
            raise PlanError(f"{_at(found[key], shown)}: unknown setting {key!r}; {known(_SETTINGS, key)}")
    if "notebook" not in found:
        raise PlanError(f"{where}: an entry without `notebook: …`; name one")
    return Entry(where=where, **{key: _SETTINGS[key](value, shown, key) for key, value in found.items()})


def _mapping(node: yaml.Node, shown: str, expected: str) -> dict[str, yaml.Node]:
    if not isinstance(node, yaml.MappingNode):
        raise PlanError(f"{_at(node, shown)}: expected {expected}, found {_value(node, shown)!r}")
    found: dict[str, yaml.Node] = {}
    for key, value in node.value:
        name = _value(key, shown)
        if not isinstance(name, str):
            raise PlanError(f"{_at(key, shown)}: expected a name, found {name!r}; put it in quotes")
        if name in found:
            raise PlanError(f"{_at(key, shown)}: {name!r} stands here twice; delete one")
        found[name] = value
    return found


def _text(node: yaml.Node, shown: str, key: str) -> str:
    value = _value(node, shown)
    if not isinstance(value, str) or not value:
        raise PlanError(f"{_at(node, shown)}: {key}: expected a name, found {value!r}")
    return value


def _count(node: yaml.Node, shown: str, key: str) -> int:
    value = _value(node, shown)
    # One GPU a run: CUDA_VISIBLE_DEVICES names a single device.
    low, high = (0, 1) if key == "gpus" else (1, 1024)
    if type(value) is not int or not low <= value <= high:
        raise PlanError(f"{_at(node, shown)}: {key}: expected a whole number from {low} to {high}, found {value!r}")
    return value


def _yes_or_no(node: yaml.Node, shown: str, key: str) -> bool:
    value = _value(node, shown)
    if not isinstance(value, bool):
        raise PlanError(f"{_at(node, shown)}: {key}: expected true or false, found {value!r}")
    return value


def _minutes(node: yaml.Node, shown: str, key: str) -> float:
    value = _value(node, shown)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
        raise PlanError(f"{_at(node, shown)}: {key}: expected a number of minutes above 0, found {value!r}")
    return float(value)


def _values(node: yaml.Node, shown: str, key: str) -> dict[str, Any]:
    return {name: _value(value, shown) for name, value in _mapping(node, shown, f"{key}: names with values").items()}


def _grid(node: yaml.Node, shown: str, key: str) -> dict[str, list[Any]]:
    found = _mapping(node, shown, f"{key}: names with lists of values")
    for name, values in found.items():
        if not isinstance(values, yaml.SequenceNode) or not values.value:
            raise PlanError(f"{_at(values, shown)}: {key}: {name}: expected a list of values, as in [0, 1, 2]")
    return {name: _value(values, shown) for name, values in found.items()}


def _paths(node: yaml.Node, shown: str, key: str) -> tuple[str, ...]:
    value = _value(node, shown)
    paths = value if isinstance(value, list) else [value]
    for path in paths:
        if not isinstance(path, str) or Path(path).is_absolute() or ".." in Path(path).parts:
            raise PlanError(f"{_at(node, shown)}: {key}: expected paths below the checkout's root, found {path!r}")
    return tuple(paths)


_SETTINGS = {
    "notebook": _text,
    "parameters": _values,
    "grid": _grid,
    "threads": _count,
    "alone": _yes_or_no,
    "gpus": _count,
    "minutes": _minutes,
    "limit_minutes": _minutes,
    "inputs": _paths,
}


def _value(node: yaml.Node, shown: str) -> Any:  # noqa: ANN401 - any YAML value
    loader = yaml.SafeLoader("")
    try:
        return loader.construct_object(node, deep=True)
    except (yaml.YAMLError, ValueError) as error:
        raise PlanError(f"{_at(node, shown)}: cannot be read: {error}") from error
    finally:
        loader.dispose()


def _at(node: yaml.Node, shown: str) -> str:
    return f"{shown}, line {node.start_mark.line + 1}"
