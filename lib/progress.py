"""One progress bar for the whole library.

Silent where `SIX_PAPERS_QUIET=1` is set: in batches, under nbval and while outputs are stored, so that stored outputs
hold no progress and two runs print the same.
"""

import os
import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")

QUIET = "SIX_PAPERS_QUIET"


def progress(items: Iterable[Item], description: str, total: int | None = None) -> Iterator[Item]:
    """Yield the items and show how far we are, in a terminal or a notebook.

    Args:
        items: What is worked through.
        description: What is being done, in two or three words.
        total: Number of items, where `len(items)` does not tell.
    """
    if os.environ.get(QUIET) == "1":
        return iter(items)
    from tqdm import tqdm

    # Standard output: a notebook paints standard error red. One second of delay: short loops show nothing.
    return iter(tqdm(items, desc=description, total=total, file=sys.stdout, leave=False, delay=1.0))
