"""What differs between two measurements of the same thing, metric by metric."""

from collections.abc import Iterator
from dataclasses import dataclass, fields

from lib.ledger.metrics import Metrics, is_timing

Scalar = int | float | str | bool | None


@dataclass(frozen=True)
class Difference:
    """One number, text or flag that is not what it was.

    Attributes:
        name: Of the metric, with the place in a tuple or dictionary: "errors[3]".
        before: Its earlier value, None where it had none.
        after: Its later value, None where it has none any more.
        timing: Whether it is a duration or a speed, which differ in every run.
    """

    name: str
    before: Scalar
    after: Scalar
    timing: bool = False

    @property
    def absolute(self) -> float | None:
        """After minus before, None where they are not both numbers."""
        numbers = (self.before, self.after)
        if all(isinstance(each, int | float) and not isinstance(each, bool) for each in numbers):
            return self.after - self.before
        return None

    @property
    def relative(self) -> float | None:
        """`absolute` in proportion to what it was, None where that is 0 or no number."""
        return None if self.absolute is None or self.before == 0 else self.absolute / abs(self.before)


def differences(before: Metrics, after: Metrics) -> list[Difference]:
    """Return what differs, exactly and in the order of the fields.

    Args:
        before: The earlier measurement.
        after: The later one, which may be of another type: then all that is not in both differs.
    """
    old, new = dict(_flat(before)), dict(_flat(after))
    found = []
    for name in dict.fromkeys([*old, *new]):
        then, timing = old.get(name, (None, False))
        now, timing = new.get(name, (None, timing))
        if name not in old or name not in new or then != now:
            found.append(Difference(name, then, now, timing))
    return found


def count(metrics: Metrics) -> int:
    """Return how many single values metrics hold, timings left out, those in tuples and dictionaries one by one."""
    return sum(not timing for _, (_, timing) in _flat(metrics))


def _flat(metrics: Metrics) -> Iterator[tuple[str, tuple[Scalar, bool]]]:
    for each in fields(metrics):
        for name, value in _leaves(each.name, getattr(metrics, each.name)):
            yield name, (value, is_timing(each))


def _leaves(name: str, value: object) -> Iterator[tuple[str, Scalar]]:
    if isinstance(value, dict | tuple):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in items:
            yield from _leaves(f"{name}[{key}]", item)
    else:
        yield name, value
