"""What the functions of the code task do: described in words, written as a body, and computed in plain Python.

The three are made side by side from the same draw; that the body does what plain Python computes is a test.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Described:
    """One function.

    Attributes:
        argument: Name of its argument: xs, a list, or n, an integer.
        text: What it does.
        body: The lines below `def`.
        result: What it returns.
        numbers: The constants in it.
    """

    argument: str
    text: str
    body: str
    result: Callable[[Any], Any]
    numbers: tuple[int, ...]


@dataclass(frozen=True)
class _Condition:
    words: str
    code: str
    holds: Callable[[int], bool]


@dataclass(frozen=True)
class _Change:
    code: str
    applied: Callable[[int], int]


def _condition(dice: random.Random) -> tuple[_Condition, int]:
    k = dice.randint(2, 25)
    d = dice.randint(2, 9)
    return dice.choice(
        (
            (_Condition(f"greater than {k}", f"{{}} > {k}", lambda x: x > k), k),
            (_Condition(f"less than {k}", f"{{}} < {k}", lambda x: x < k), k),
            (_Condition(f"divisible by {d}", f"{{}} % {d} == 0", lambda x: x % d == 0), d),
            (_Condition(f"not divisible by {d}", f"{{}} % {d} != 0", lambda x: x % d != 0), d),
        )
    )


def _change(dice: random.Random) -> tuple[_Change, int]:
    k = dice.randint(2, 25)
    return dice.choice(
        (
            (_Change(f"{{}} + {k}", lambda x: x + k), k),
            (_Change(f"{{}} - {k}", lambda x: x - k), k),
            (_Change(f"{{}} * {k}", lambda x: x * k), k),
        )
    )


def _sum(dice: random.Random) -> Described:
    (condition, k), (change, m) = _condition(dice), _change(dice)
    return Described(
        "xs",
        f"the sum of {change.code.format('x')} for the x in xs that are {condition.words}",
        f"    total = 0\n    for x in xs:\n        if {condition.code.format('x')}:\n"
        f"            total += {change.code.format('x')}\n    return total",
        lambda xs: sum(change.applied(x) for x in xs if condition.holds(x)),
        (k, m),
    )


def _list(dice: random.Random) -> Described:
    (condition, k), (change, m) = _condition(dice), _change(dice)
    return Described(
        "xs",
        f"a list of {change.code.format('x')} for the x in xs that are {condition.words}",
        f"    ys = []\n    for x in xs:\n        if {condition.code.format('x')}:\n"
        f"            ys.append({change.code.format('x')})\n    return ys",
        lambda xs: [change.applied(x) for x in xs if condition.holds(x)],
        (k, m),
    )


def _count(dice: random.Random) -> Described:
    (first, k), (second, m) = _condition(dice), _condition(dice)
    return Described(
        "xs",
        f"how many x in xs are {first.words} and {second.words}",
        f"    count = 0\n    for x in xs:\n        if {first.code.format('x')} and {second.code.format('x')}:\n"
        "            count += 1\n    return count",
        lambda xs: sum(first.holds(x) and second.holds(x) for x in xs),
        (k, m),
    )


def _first(dice: random.Random) -> Described:
    (condition, k), (change, m), other = _condition(dice), _change(dice), dice.randint(2, 25)
    return Described(
        "xs",
        f"{change.code.format('x')} for the first x in xs that is {condition.words}, or {other} if there is none",
        f"    for x in xs:\n        if {condition.code.format('x')}:\n"
        f"            return {change.code.format('x')}\n    return {other}",
        lambda xs: next((change.applied(x) for x in xs if condition.holds(x)), other),
        (k, m, other),
    )


def _cases(dice: random.Random) -> Described:
    (condition, k), (change, m), (otherwise, o) = _condition(dice), _change(dice), _change(dice)
    return Described(
        "n",
        f"{change.code.format('n')} if n is {condition.words}, else {otherwise.code.format('n')}",
        f"    if {condition.code.format('n')}:\n        return {change.code.format('n')}\n"
        f"    return {otherwise.code.format('n')}",
        lambda n: change.applied(n) if condition.holds(n) else otherwise.applied(n),
        (k, m, o),
    )


def _up_to(dice: random.Random) -> Described:
    (condition, k), start = _condition(dice), dice.randint(2, 9)
    return Described(
        "n",
        f"the sum of the numbers from {start} to n that are {condition.words}",
        f"    total = 0\n    for i in range({start}, n + 1):\n        if {condition.code.format('i')}:\n"
        "            total += i\n    return total",
        lambda n: sum(i for i in range(start, n + 1) if condition.holds(i)),
        (k, start),
    )


BEHAVIOURS: dict[str, Callable[[random.Random], Described]] = {
    "cases": _cases,
    "count": _count,
    "first": _first,
    "list": _list,
    "sum": _sum,
    "up to": _up_to,
}
