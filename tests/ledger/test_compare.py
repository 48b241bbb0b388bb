"""What differs between two measurements."""

import math
from dataclasses import dataclass, replace

import pytest

from lib.ledger.compare import Difference, count, differences
from lib.ledger.metrics import Metrics, timing


@dataclass(frozen=True)
class Measured(Metrics):
    error: float
    many: tuple[float, ...]
    named: dict[str, float]
    flag: bool
    seconds: float = timing()


BEFORE = Measured("m", 1, 0.5, (1.0, 2.0), {"q": 1.0}, True, 3.0)


def test_the_same_does_not_differ():
    assert differences(BEFORE, replace(BEFORE)) == []


def test_the_last_bit_of_a_number_is_a_difference():
    (found,) = differences(BEFORE, replace(BEFORE, error=math.nextafter(0.5, 1)))
    assert (found.name, found.absolute) == ("error", math.ulp(0.5))


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({"many": (1.0, 3.0)}, ["many[1]"]),
        ({"many": (1.0,)}, ["many[1]"]),
        ({"named": {"k": 1.0}}, ["named[q]", "named[k]"]),
        ({"flag": False}, ["flag"]),
        ({"model": "other", "error": 1.0}, ["model", "error"]),
    ],
)
def test_what_differs_is_named_with_its_place(change, names):
    assert [each.name for each in differences(BEFORE, replace(BEFORE, **change))] == names


def test_timings_are_marked():
    (found,) = differences(BEFORE, replace(BEFORE, seconds=4.0))
    assert found == Difference("seconds", 3.0, 4.0, timing=True)


def test_a_difference_says_how_much():
    found = Difference("error", -2.0, -1.0)
    assert (found.absolute, found.relative) == (1.0, 0.5)


@pytest.mark.parametrize("pair", [("a", "b"), (None, 1.0), (True, False)])
def test_what_is_no_number_has_no_size(pair):
    found = Difference("model", *pair)
    assert (found.absolute, found.relative) == (None, None)


def test_from_zero_there_is_no_proportion():
    assert Difference("error", 0.0, 1.0).relative is None


def test_single_values_without_timings_are_counted():
    assert count(BEFORE) == 7
