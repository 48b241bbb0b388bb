"""What is wrong with a plan, in words that say where, what was expected and how to mend it."""

import difflib
from collections.abc import Iterable


class PlanError(ValueError):
    """Nothing was started, because the batch cannot be planned as asked."""


def known(names: Iterable[str], wrong: str) -> str:
    """Return the end of a message about an unknown name: the nearest known one, or all of them."""
    names = list(names)
    near = difflib.get_close_matches(wrong, names, n=1)
    if near:
        return f"did you mean {near[0]!r}?"
    return f"known: {', '.join(names)}" if names else "none is known"
