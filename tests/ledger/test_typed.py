"""JSON and back, strictly."""

import json
import math
from dataclasses import dataclass, fields, make_dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.ledger.typed import TypedError, from_values, to_values

unhurried = settings(deadline=None, max_examples=50)  # a busy machine is no failure


@dataclass(frozen=True)
class Inner:
    name: str


@dataclass(frozen=True)
class Everything:
    count: int
    size: float
    text: str
    flag: bool
    pair: tuple[int, str]
    many: tuple[float, ...]
    nested: tuple[tuple[int, ...], ...]
    by_name: dict[str, float]
    maybe: float | None
    inner: Inner
    anything: dict[str, Any]


finite = st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(st.none() | st.booleans() | st.integers() | finite | st.text(), st.lists, max_leaves=4)
everything = st.builds(
    Everything,
    count=st.integers(),
    size=finite,
    text=st.text(),
    flag=st.booleans(),
    pair=st.tuples(st.integers(), st.text()),
    many=st.lists(finite).map(tuple),
    nested=st.lists(st.lists(st.integers()).map(tuple)).map(tuple),
    by_name=st.dictionaries(st.text(), finite),
    maybe=st.none() | finite,
    inner=st.builds(Inner, name=st.text()),
    anything=st.dictionaries(st.text(), values),
)
EXAMPLE = Everything(1, 2.5, "a", True, (1, "b"), (1.0,), ((1,), ()), {"c": 1.0}, None, Inner("d"), {"e": [1]})


@unhurried
@given(everything)
def test_what_is_written_comes_back_equal(written):
    assert from_values(Everything, json.loads(json.dumps(to_values(written)))) == written


@unhurried
@given(everything)
def test_what_comes_back_has_the_types_it_had(written):
    read = from_values(Everything, json.loads(json.dumps(to_values(written))))
    assert [type(getattr(read, each.name)) for each in fields(read)] == [
        type(getattr(written, each.name)) for each in fields(written)
    ]


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("count", 1.0),
        ("count", True),
        ("count", "1"),
        ("size", "1.0"),
        ("size", True),
        ("size", None),
        ("text", 1),
        ("flag", 0),
        ("pair", [1]),
        ("pair", [1, 2]),
        ("many", 1.0),
        ("many", [1.0, "a"]),
        ("nested", [[1.5]]),
        ("by_name", {"c": "d"}),
        ("by_name", [1.0]),
        ("maybe", "none"),
        ("inner", {"name": 1}),
        ("inner", "d"),
    ],
)
def test_a_value_of_another_type_is_refused_by_name(field, wrong):
    stored = to_values(EXAMPLE) | {field: wrong}
    with pytest.raises(TypedError, match=field):
        from_values(Everything, stored)


def test_a_missing_and_an_unknown_field_are_named():
    stored = to_values(EXAMPLE)
    del stored["count"]
    with pytest.raises(TypedError, match="without count and with unknown other"):
        from_values(Everything, stored | {"other": 1})


def test_a_whole_number_does_for_a_float_and_becomes_one():
    assert type(from_values(Everything, to_values(EXAMPLE) | {"size": 3}).size) is float


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_numbers_that_are_not_finite_are_refused(number):
    kind = make_dataclass("Kind", [("error", float)])
    with pytest.raises(TypedError, match=f"error is {number}: numbers are finite; give the field the type"):
        to_values(kind(number))


@pytest.mark.parametrize("value", [np.float32(1), np.int64(1), np.ones(2), [1.0]])
def test_arrays_and_their_numbers_are_refused_when_written(value):
    kind = make_dataclass("Kind", [("error", tuple[float, ...] if np.ndim(value) else int)])
    with pytest.raises(TypedError, match="error: expected"):
        to_values(kind(value))


def test_a_float64_becomes_a_plain_float():
    kind = make_dataclass("Kind", [("error", float)])
    assert type(to_values(kind(np.float64(1)))["error"]) is float


def test_a_type_that_json_does_not_know_is_refused():
    kind = make_dataclass("Kind", [("error", set)])
    with pytest.raises(TypedError, match="error has the type set"):
        to_values(kind({1}))
