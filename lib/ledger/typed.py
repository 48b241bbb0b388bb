"""Dataclasses to JSON values and back, strictly: what is read has the fields and the types that were written.

int, float, str, bool, None, tuples, dictionaries with text keys, dataclasses, and unions with None. A float may be
written without a fraction and comes back as a float. NaN and infinities are refused: JSON has no place for them.
"""

import math
import types
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

Kind = TypeVar("Kind")


class TypedError(ValueError):
    """A value is not what its type says; the message names the field, the value and what was expected."""


def to_values(value: object, where: str = "") -> dict[str, Any]:
    """Return a dataclass as JSON values, checked against its types.

    Raises:
        TypedError: A value is not of its type, or is no finite number.
    """
    return _dataclass(type(value), {each.name: getattr(value, each.name) for each in fields(value)}, where, _written)


def from_values(kind: type[Kind], values: object, where: str = "") -> Kind:
    """Return the dataclass that JSON values stand for.

    Raises:
        TypedError: A field is missing, unknown, or of another type.
    """
    if not isinstance(values, dict):
        raise TypedError(f"{where or kind.__name__}: expected an object, found {values!r}")
    missing = sorted({each.name for each in fields(kind)} - set(values))
    unknown = sorted(set(values) - {each.name for each in fields(kind)})
    if missing or unknown:
        faults = [f"without {', '.join(missing)}"] * bool(missing) + [f"with unknown {', '.join(unknown)}"] * bool(
            unknown
        )
        raise TypedError(f"{where or kind.__name__}: a {kind.__name__} {' and '.join(faults)}")
    return kind(**_dataclass(kind, values, where, _read))


_Convert = Callable[[Any, Any, str], Any]


def _dataclass(kind: type, values: dict[str, Any], where: str, convert: _Convert) -> dict[str, Any]:
    hints = get_type_hints(kind)
    prefix = where + "." if where else ""
    return {each.name: convert(hints[each.name], values[each.name], prefix + each.name) for each in fields(kind)}


def _written(hint: Any, value: Any, where: str) -> Any:  # noqa: ANN401 - any type, any value
    if isinstance(hint, type) and is_dataclass(hint):
        _expect(isinstance(value, hint), hint, value, where)
        return to_values(value, where)
    if get_origin(hint) is tuple:
        _expect(isinstance(value, tuple), hint, value, where)
    return _converted(hint, value, where, _written, list)


def _read(hint: Any, value: Any, where: str) -> Any:  # noqa: ANN401
    if isinstance(hint, type) and is_dataclass(hint):
        return from_values(hint, value, where)
    if get_origin(hint) is tuple:
        _expect(isinstance(value, list), hint, value, where)
    return _converted(hint, value, where, _read, tuple)


def _converted(hint: Any, value: Any, where: str, convert: _Convert, sequence: type) -> Any:  # noqa: ANN401
    origin, arguments = get_origin(hint), get_args(hint)
    if hint is Any:
        return value
    if origin in (Union, types.UnionType):
        return _member(arguments, value, where, convert)
    if origin is tuple:
        if arguments[-1] is ...:
            arguments = arguments[:1] * len(value)
        _expect(len(arguments) == len(value), hint, value, where)
        pairs = enumerate(zip(arguments, value, strict=True))
        return sequence(convert(kind, item, f"{where}[{index}]") for index, (kind, item) in pairs)
    if origin is dict and arguments[0] is str:
        _expect(isinstance(value, dict) and all(type(key) is str for key in value), hint, value, where)
        return {key: convert(arguments[1], item, f"{where}[{key!r}]") for key, item in value.items()}
    return _plain(hint, value, where)


def _member(kinds: tuple[Any, ...], value: Any, where: str, convert: _Convert) -> Any:  # noqa: ANN401
    """Convert by the first type of a union that takes the value."""
    for kind in kinds:
        try:
            return convert(kind, value, where)
        except TypedError:
            continue
    names = " or ".join(_name(kind) for kind in kinds)
    raise TypedError(f"{where}: expected {names}, found {value!r} ({type(value).__name__})")


def _plain(hint: Any, value: Any, where: str) -> Any:  # noqa: ANN401
    if hint is types.NoneType or hint is None:
        _expect(value is None, hint, value, where)
        return None
    if hint is float:
        _expect(isinstance(value, int | float) and not isinstance(value, bool), hint, value, where)
        if not math.isfinite(value):
            raise TypedError(f"{where} is {value}: numbers are finite; give the field the type `float | None`")
        return float(value)
    if hint not in (int, str, bool):
        raise TypedError(
            f"{where} has the type {_name(hint)}; int, float, str, bool, None, tuple[...], dict[str, ...] do"
        )
    _expect(type(value) is hint, hint, value, where)
    return value


def _expect(condition: bool, hint: Any, value: Any, where: str) -> None:  # noqa: ANN401
    if not condition:
        hand = "; convert it with int(), float() or tuple() first" if type(value).__module__ != "builtins" else ""
        raise TypedError(f"{where}: expected {_name(hint)}, found {value!r} ({type(value).__name__}){hand}")


def _name(hint: Any) -> str:  # noqa: ANN401
    return hint.__name__ if isinstance(hint, type) and not get_args(hint) else str(hint)
