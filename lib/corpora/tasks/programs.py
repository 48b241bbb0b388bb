"""A small code task: the body of a described function, in a subset of Python; judged by running it.

    # f(xs): the sum of x * 4 for the x in xs that are greater than 7
    def f(xs):
        total = 0
        for x in xs:
            if x > 7:
                total += x * 4
        return total

Whatever gives the right results on all of an item's cases is right, however it is written. It is run by our own
interpreter (`lib.corpora.tasks.interpreter`), with limits. Style is whether it lies in the subset.
"""

import json
import random
from collections.abc import Mapping
from typing import Any

from lib.corpora.tasks.behaviours import BEHAVIOURS
from lib.corpora.tasks.errors import ProgramError
from lib.corpora.tasks.interpreter import run
from lib.corpora.tasks.subset import parse
from lib.corpora.tasks.task import Generator, Item

_CASES = 6
_ARGUMENTS = ("xs", "n")


def _draw(dice: random.Random) -> Item:
    while True:
        kind = dice.choice(sorted(BEHAVIOURS))
        described = BEHAVIOURS[kind](dice)
        cases = [(argument := _argument(described.argument, dice), described.result(argument)) for _ in range(_CASES)]
        # Cases that all have one result would accept a program that returns it always.
        if len({json.dumps(result) for _, result in cases}) > 2:
            name = described.argument
            prompt = f"# f({name}): {described.text}\ndef f({name}):"
            numbers = " ".join(map(str, sorted(described.numbers)))
            return Item(prompt, f"\n{described.body}", kind, numbers, json.dumps({"argument": name, "cases": cases}))


def _argument(name: str, dice: random.Random) -> int | list[int]:
    if name == "n":
        return dice.randint(0, 60)
    return [dice.randint(-9, 40) for _ in range(dice.choice((0, 4, 6, 8, 10)))]


def _correct(item: Mapping[str, Any], answer: str) -> bool:
    checks = json.loads(item["checks"])
    try:
        return all(run(answer, {checks["argument"]: argument}) == result for argument, result in checks["cases"])
    except ProgramError:
        return False


def _style(answer: str) -> float:
    try:
        parse(answer, _ARGUMENTS)
    except ProgramError:
        return 0.0
    return 1.0


PROGRAMS = Generator("programs", "the body of a described function", _draw, _correct, _style, new_tokens=72)
