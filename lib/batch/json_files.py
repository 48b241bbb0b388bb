"""Small JSON files that are never seen half-written, read back strictly into dataclasses.

What it leaves out: nested types other than the few that batches store.
"""

import contextlib
import json
import os
import types
import typing
from dataclasses import fields, is_dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

Stored = TypeVar("Stored")


class RunFileError(ValueError):
    """A file that a batch wrote is missing or is not what a batch writes; the message says which, and what to do."""


def write_json(path: Path, data: dict[str, Any]) -> None:
    """Write a file in one step: a reader sees the old content or the new, whole.

    Args:
        path: Where; its folder exists.
        data: JSON values; NaN and infinities are refused, since other readers of JSON refuse them.
    """
    text = json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, path)
    except OSError:
        with contextlib.suppress(OSError):  # a full disk: leave nothing half-written, report the first error
            temporary.unlink()
        raise


def read_json(path: Path) -> dict[str, Any]:
    """Read a file that `write_json` wrote.

    Raises:
        RunFileError: There is no such file, or it holds no JSON object.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise RunFileError(f"{path}: cannot be read ({error}); delete its folder and run the batch again") from error
    if not isinstance(data, dict):
        raise RunFileError(f"{path}: expected a JSON object, found {type(data).__name__}; delete it and run again")
    return data


def from_json(kind: type[Stored], data: dict[str, Any], path: Path) -> Stored:
    """Build a dataclass from JSON values, strictly: every field there, none more, each of its type.

    Args:
        kind: The dataclass; its fields are JSON types, enumerations of strings, dataclasses, tuples of dataclasses.
        data: What the file holds.
        path: The file, for the message.

    Raises:
        RunFileError: A field is missing, unknown, or of another type.
    """
    hints = typing.get_type_hints(kind)
    expected = {field.name for field in fields(kind)}
    if set(data) != expected:
        missing, unknown = sorted(expected - set(data)), sorted(set(data) - expected)
        raise RunFileError(
            f"{path}: {kind.__name__} with missing fields {missing}, unknown fields {unknown}; it was written by "
            "another version: delete its folder and run the batch again"
        )
    return kind(**{name: _value(hints[name], data[name], f"{path}: {name}") for name in expected})


def _value(hint: Any, value: Any, where: str) -> Any:  # noqa: ANN401 - any JSON value
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        if value is None and types.NoneType in arguments:
            return None
        return _value(next(kind for kind in arguments if kind is not types.NoneType), value, where)
    if origin is tuple and isinstance(value, list):
        return tuple(_value(arguments[0], item, where) for item in value)
    if isinstance(hint, type) and is_dataclass(hint) and isinstance(value, dict):
        return from_json(hint, value, Path(where))
    if isinstance(hint, type) and issubclass(hint, StrEnum) and value in list(hint):
        return hint(value)
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    plain = origin or hint
    if plain in (int, str, bool, dict) and type(value) is plain:
        return value
    raise RunFileError(f"{where}: expected {hint}, found {value!r}; delete its folder and run the batch again")
