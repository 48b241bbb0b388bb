"""Arithmetic word problems of two or three steps, answered step by step.

    Mia has 14 shells and buys 3 bags of 8 shells each. How many shells does Mia have now?
    3*8=24 14+24=38 #38

An answer is right if the number after the last "#" is.
"""

import operator
import random
import re
from collections.abc import Mapping
from typing import Any

from lib.corpora.tasks.task import Generator, Item, words

_NAMES = words("Mia Tom Ana Ben Eva Max Lea Sam Ida Leo Zoe Jon Kim Ray Amy Dan Liv Gus Nia Ole")
_THINGS = words("shells apples coins cards beads nuts stamps stones plums books pens shirts cups eggs figs")
_OPERATIONS = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.floordiv}

# Largest value of each operand; all are at least 2. A model of 135 M parameters can learn such products in minutes.
_LARGEST = {"a": 60, "b": 9, "c": 12, "d": 9, "e": 40}

# Text, and the steps: r1 is the result of the first. Letters are operands.
_TEMPLATES = (
    ("{name} has {a} {things} and buys {b} bags of {c} {things} each. How many {things} does {name} have now?",
     "r1=b*c r2=a+r1"),
    ("{name} finds {a} {things}, then {e} more, and gives away {b}. How many {things} are left?", "r1=a+e r2=r1-b"),
    ("A box holds {b} rows of {c} {things}. {name} takes out {d}. How many {things} stay in the box?",
     "r1=b*c r2=r1-d"),
    ("{name} saves {c} coins a week for {b} weeks and then spends {e}. How many coins are left?", "r1=c*b r2=r1-e"),
    ("{name} reads {c} pages a day for {b} days, then {e} pages a day for {d} days. How many pages is that?",
     "r1=c*b r2=e*d r3=r1+r2"),
    ("{name} bakes {a} cakes, eats {d} and shares the rest equally among {b} friends. How many does each friend get?",
     "r1=a-d r2=r1/b"),
    ("A bus has {c} rows of {b} seats. {d} seats are broken and {e} are taken. How many seats are free?",
     "r1=c*b r2=r1-d r3=r2-e"),
    ("{name} buys {b} {things} at {c} coins each and one bag at {e} coins. How many coins is that?", "r1=b*c r2=r1+e"),
    ("{name} has {c} {things}. {other} has {b} times as many and loses {d}. How many {things} does {other} have?",
     "r1=c*b r2=r1-d"),
    ("{a} birds sit on a roof. {b} fly off, {e} come and {d} more come. How many birds are on the roof?",
     "r1=a-b r2=r1+e r3=r2+d"),
)  # fmt: skip


def _draw(dice: random.Random) -> Item:
    while True:
        number = dice.randrange(len(_TEMPLATES))
        text, steps = _TEMPLATES[number]
        letters = [letter for letter in _LARGEST if f"{{{letter}}}" in text]
        operands = {letter: dice.randint(2, _LARGEST[letter]) for letter in letters}
        working = _working(steps, operands)
        name, other = dice.sample(_NAMES, 2)
        if working is not None:
            question = text.format(**operands, name=name, other=other, things=dice.choice(_THINGS))
            numbers = " ".join(map(str, sorted(operands.values())))
            return Item(f"{question}\nAnswer:", f" {working}", f"template {number}", numbers)


def _working(steps: str, operands: Mapping[str, int]) -> str | None:
    """Return the written steps and the result; None where a result is not positive or a division leaves a rest."""
    values, written = dict(operands), []
    for step in steps.split():
        result, left, sign, right = re.fullmatch(r"(\w+)=(\w+)(.)(\w+)", step).groups()
        if sign == "/" and values[left] % values[right]:
            return None
        values[result] = _OPERATIONS[sign](values[left], values[right])
        if values[result] < 1:
            return None
        written.append(f"{values[left]}{sign}{values[right]}={values[result]}")
    return f"{' '.join(written)} #{values[result]}"


def _result(answer: str) -> str | None:
    found = re.findall(r"#\s*(-?\d+)", answer)
    return found[-1] if found else None


def _correct(item: Mapping[str, Any], answer: str) -> bool:
    return _result(answer) == _result(item["answer"])


def _style(answer: str) -> float:
    return float(re.fullmatch(r"(\d+[-+*/]\d+=\d+ ){2,3}#\d+", answer.strip()) is not None)


ARITHMETIC = Generator("arithmetic", "word problems of two or three steps", _draw, _correct, _style, new_tokens=40)
