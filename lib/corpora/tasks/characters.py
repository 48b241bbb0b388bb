"""Three tasks of single characters for tiny models: chains of sums, records to rewrite, brackets to close.

    chains      4+5*3-1=              4,2,6,5             running results, left to right, modulo 7
    records     c=31 a=75 b=08>       C:31|A:75|B:08      written in another form
    brackets    [(<>{~                })]                 the closing brackets that are missing, innermost first

Each can be learnt in seconds by a model of 0.1 M parameters, and none by heart. `PRIMER` is what such a model reads
before: single sums, copies, alphabets, records and closed brackets, so that a fine-tune changes a model that knows the
signs and not the task.
"""

import random
from collections.abc import Mapping
from typing import Any

from lib.corpora.tasks.task import Generator, Item

_DIGITS = "0123456789"
_SMALL = "0123456"
_SIGNS = "+-*"
_KEYS = "abcdefgh"
_PAIRS = {"(": ")", "[": "]", "{": "}", "<": ">"}
_TERMS = 5
_MODULUS = 7  # 147 facts: so many are learnt in seconds, and not perfectly
_FIELDS = 3


def _chain(dice: random.Random) -> Item:
    terms = [dice.choice(_SMALL) for _ in range(_TERMS)]
    signs = [dice.choice(_SIGNS) for _ in terms[1:]]
    results, value = [terms[0]], int(terms[0])
    for sign, term in zip(signs, terms[1:], strict=True):
        value = _applied(value, sign, int(term))
        results.append(str(value))
    prompt = terms[0] + "".join(sign + term for sign, term in zip(signs, terms[1:], strict=True)) + "="
    return Item(prompt, ",".join(results), f"{_TERMS} terms", prompt)


def _applied(left: int, sign: str, right: int) -> int:
    return {"+": left + right, "-": left - right, "*": left * right}[sign] % _MODULUS


def _record(dice: random.Random) -> Item:
    values = {key: f"{dice.randrange(100):02}" for key in dice.sample(_KEYS, _FIELDS)}
    prompt = " ".join(f"{key}={value}" for key, value in values.items()) + ">"
    answer = "|".join(f"{key.upper()}:{values[key]}" for key in values)
    return Item(prompt, answer, f"{_FIELDS} fields", " ".join(sorted(values.values())))


def _brackets(dice: random.Random) -> Item:
    while True:
        text, stack = "", []
        for _ in range(dice.randint(8, 12)):
            if stack and dice.random() < 0.4:
                text += stack.pop()
            else:
                opening = dice.choice(list(_PAIRS))
                text += opening
                stack.append(_PAIRS[opening])
        if 2 <= len(stack) <= 6:
            return Item(f"{text}~", "".join(reversed(stack)), f"{len(stack)} open", text)


def _primer(dice: random.Random) -> Item:
    text = dice.choice((_single, _single, _copy, _alphabet, _list, _closed))(dice)
    return Item("", text, "primer", text)


def _single(dice: random.Random) -> str:
    sums = []
    for _ in range(4):
        left, sign, right = dice.choice(_SMALL), dice.choice(_SIGNS), dice.choice(_SMALL)
        sums.append(f"{left}{sign}{right}={_applied(int(left), sign, int(right))}")
    return ";".join(sums)


def _copy(dice: random.Random) -> str:
    word = "".join(dice.choice(_DIGITS + _KEYS + _KEYS.upper()) for _ in range(8))
    return f"{word}:{word}"


def _alphabet(dice: random.Random) -> str:
    start = dice.randrange(4)
    return " ".join((key if dice.random() < 0.5 else key.upper()) for key in _KEYS[start:])


def _list(dice: random.Random) -> str:
    keys = sorted(dice.sample(_KEYS, 3))
    return " ".join(f"{key}={dice.randrange(100):02}" for key in keys)


def _closed(dice: random.Random) -> str:
    text, stack = "", []
    while len(text) + len(stack) < 14:
        if stack and dice.random() < 0.45:
            text += stack.pop()
        else:
            text += dice.choice(list(_PAIRS))
            stack.append(_PAIRS[text[-1]])
    return text + "".join(reversed(stack))


def _correct(item: Mapping[str, Any], answer: str) -> bool:
    return answer == item["answer"]


def _made_of(allowed: str) -> Any:  # noqa: ANN401 - a function
    return lambda answer: float(bool(answer) and set(answer) <= set(allowed))


CHAINS = Generator("chains", "running results of a sum, modulo 7", _chain, _correct, _made_of(_SMALL + ","), 12)
RECORDS = Generator(
    "records", "records in another form", _record, _correct, _made_of(_DIGITS + _KEYS.upper() + ":|"), 20
)
BRACKETS = Generator("brackets", "the closing brackets that are missing", _brackets, _correct, _made_of(")]}>"), 10)
PRIMER = Generator("primer", "single sums, copies, alphabets, records, brackets", _primer, _correct, lambda _: 1.0, 20)
