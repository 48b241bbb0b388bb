"""How much held-out text stands in the training text word for word.

A leak is a run of 13 words (letters and digits, case folded) that occurs in both. 13 is the length that GPT-3's authors
took to find test sets in their training data (Brown et al. 2020, App. C): shorter runs repeat by chance.
"""

import re
from collections.abc import Iterable, Sequence

import numpy as np

GRAM = 13

_WORD = re.compile(r"\w+")


def leak_rate(train: Iterable[str], held_out: Sequence[str]) -> float:
    """Return the share of held-out 13-grams, each occurrence counted, that occur in the training texts.

    Runs do not cross documents. NaN where the held-out text has no run of 13 words.
    """
    numbers: dict[str, int] = {}
    wanted = _grams(held_out, numbers)
    if not len(wanted):
        return float("nan")
    found = np.isin(wanted, np.unique(_grams(train, numbers)))
    return float(found.mean())


def _grams(texts: Iterable[str], numbers: dict[str, int]) -> np.ndarray:
    """Return a 64-bit fingerprint of every run of 13 words of every text, [runs]."""
    parts = [_fingerprints(text, numbers) for text in texts]
    return np.concatenate(parts) if parts else np.empty(0, np.uint64)


def _fingerprints(text: str, numbers: dict[str, int]) -> np.ndarray:
    words = [numbers.setdefault(word, len(numbers)) for word in _WORD.findall(text.casefold())]
    runs = len(words) - GRAM + 1
    if runs <= 0:
        return np.empty(0, np.uint64)
    mixed = _mix(np.array(words, np.uint64))
    total = np.zeros(runs, np.uint64)
    for place in range(GRAM):  # a polynomial in the mixed words, modulo 2^64
        total = total * np.uint64(0x9E3779B97F4A7C15) + mixed[place : place + runs]
    return total


def _mix(numbers: np.ndarray) -> np.ndarray:
    """Return splitmix64 of each number, so that small numbers fill all 64 bits."""
    numbers = (numbers + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    numbers = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    numbers = (numbers ^ (numbers >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return numbers ^ (numbers >> np.uint64(31))
