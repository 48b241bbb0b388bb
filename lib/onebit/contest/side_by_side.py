"""Places on the axis of bits for marks that would cover one another."""

from collections.abc import Sequence

_NEAR = 0.12  # bits; a mark of 7 points is about so wide in notebook 05's figure


def side_by_side(bits: Sequence[float], near: float = _NEAR) -> list[float]:
    """Return a place for each method, no two nearer than a mark's width; a group keeps its mean and its order.

    Args:
        bits: Stored bits a weight.
        near: Width of a mark, in bits.
    """
    order = sorted(range(len(bits)), key=lambda number: bits[number])
    groups: list[list[int]] = []
    for number in order:
        groups.append([number])
        while len(groups) > 1 and _first(groups[-1], bits, near) - _last(groups[-2], bits, near) < near - 1e-9:
            groups[-2:] = [groups[-2] + groups[-1]]  # spreading one group may have pushed it into the one before
    found = [0.0] * len(bits)
    for group in groups:
        for place, number in enumerate(group):
            found[number] = _first(group, bits, near) + near * place
    return found


def _first(group: Sequence[int], bits: Sequence[float], near: float) -> float:
    return sum(bits[number] for number in group) / len(group) - near * (len(group) - 1) / 2


def _last(group: Sequence[int], bits: Sequence[float], near: float) -> float:
    return _first(group, bits, near) + near * (len(group) - 1)
