"""What programs of the subset compute with, and how much of it they may have."""

import operator
from dataclasses import dataclass
from typing import Any

from lib.corpora.tasks.errors import LimitExceeded, RunFailed

Value = int | bool | None | list | range


@dataclass(frozen=True)
class Limits:
    """What a program may use.

    Attributes:
        steps: Nodes of the syntax tree that are visited, and items that are copied, compared or summed.
        length: Items in a list or range.
        bits: Size of an integer.
    """

    steps: int = 20_000
    length: int = 1_000
    bits: int = 256


LIMITS = Limits()


class Meter:
    """Counts the steps of one run and refuses what is too large."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.left = limits.steps

    def spend(self, steps: int) -> None:
        """Count steps.

        Raises:
            LimitExceeded: There are none left.
        """
        self.left -= steps
        if self.left < 0:
            raise LimitExceeded(f"more than {self.limits.steps} steps")

    def checked(self, value: Any) -> Value:  # noqa: ANN401 - it is here that a result becomes a Value
        """Return a new value, its items counted as steps.

        Raises:
            LimitExceeded: It is too long, or has too many bits.
        """
        if isinstance(value, (list, range)):
            self.check_length(len(value))
            self.spend(len(value))
        elif isinstance(value, int) and value.bit_length() > self.limits.bits:
            raise LimitExceeded(f"an integer of {value.bit_length()} bits, at most {self.limits.bits} are allowed")
        return value

    def check_length(self, length: int) -> None:
        """Raise LimitExceeded for a list that would be too long."""
        if length > self.limits.length:
            raise LimitExceeded(f"a list of {length} items, at most {self.limits.length} are allowed")

    def binary(self, operation: type, left: Value, right: Value) -> Value:
        """Return the result of an operation, its size checked before it is computed where it could be huge."""
        name = operation.__name__
        if name == "Pow" and isinstance(left, int) and isinstance(right, int):
            if right < 0:
                raise RunFailed("a negative exponent gives a fraction, which the subset does not have")
            if abs(left) > 1 and right * (left.bit_length() - 1) > self.limits.bits:
                raise LimitExceeded(f"an integer of over {self.limits.bits} bits")
        if name == "Mult":
            for items, times in ((left, right), (right, left)):
                if isinstance(items, list) and isinstance(times, int):
                    self.check_length(len(items) * times)
        return self.checked(BINARY[name](left, right))


def size(value: Value) -> int:
    """Return the number of items of a list or range, 0 for anything else."""
    return len(value) if isinstance(value, (list, range)) else 0


def flat(value: Value) -> Value:
    """Return a value that may be an item of a list.

    Raises:
        RunFailed: It is a list itself. In nested lists a short program could hold exponentially many items.
    """
    if isinstance(value, (list, range)):
        raise RunFailed("a list inside a list; the subset has flat lists of integers")
    return value


BINARY = {
    "Add": operator.add,
    "Sub": operator.sub,
    "Mult": operator.mul,
    "FloorDiv": operator.floordiv,
    "Mod": operator.mod,
    "Pow": operator.pow,
}
UNARY = {"USub": operator.neg, "UAdd": operator.pos, "Not": operator.not_}
COMPARISONS = {
    "Eq": operator.eq,
    "NotEq": operator.ne,
    "Lt": operator.lt,
    "LtE": operator.le,
    "Gt": operator.gt,
    "GtE": operator.ge,
    "In": lambda item, items: item in items,
    "NotIn": lambda item, items: item not in items,
}
CALLS = {"abs": abs, "len": len, "list": list, "max": max, "min": min, "range": range, "sorted": sorted, "sum": sum}
