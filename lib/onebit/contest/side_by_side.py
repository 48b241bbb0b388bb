"""Places on the axis of bits for marks that would cover one another."""

import math
from collections.abc import Sequence
from itertools import count

_WIDTH = 0.1  # bits; a mark of 7 points is about so wide in notebook 05's figure
_HEIGHT = 0.05  # of the span of log perplexity, likewise


def side_by_side(bits: Sequence[float], perplexities: Sequence[float]) -> list[float]:
    """Return a place for each method's mark: its bits, or as few tenths of a bit aside as uncover it.

    Args:
        bits: Stored bits a weight.
        perplexities: Drawn on a logarithmic axis.
    """
    heights = [math.log(perplexity) for perplexity in perplexities]
    close = _HEIGHT * (max(heights, default=0) - min(heights, default=0))
    placed: list[tuple[float, float]] = []
    for own, height in zip(bits, heights, strict=True):
        beside = [place for place, other in placed if abs(other - height) <= close]
        places = (own + side * step * _WIDTH for step in count() for side in (1, -1))
        # A mark's width counts with a little tolerance: 0.1 + 0.1 - 0.1 is not 0.1.
        placed.append((next(x for x in places if all(abs(x - other) > 0.99 * _WIDTH for other in beside)), height))
    return [place for place, _ in placed]
