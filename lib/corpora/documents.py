"""Documents, and what is removed from them before anything is split: repetitions, and too much of one origin."""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

# Shorter texts are mostly one-line summaries that say little beyond the function's name.
MINIMUM_CHARACTERS = 200
# A paragraph with fewer words ("Parameters", "See Also", "import numpy as np") may repeat.
_MINIMUM_WORDS = 8

_SPACE = re.compile(r"\s+")
_PARAGRAPH = re.compile(r"\n\s*\n")


@dataclass(frozen=True)
class Document:
    """One piece of text.

    Attributes:
        text: The text itself.
        group: What is held out as a whole: a package, a sub-folder, an author.
        name: Where it stands within the group, such as "scipy/stats/_qmc.py:discrepancy".
    """

    text: str
    group: str
    name: str

    @property
    def order(self) -> str:
        """SHA-256 of the text: documents sorted by it are shuffled the same way on every machine."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def deduplicate(documents: Iterable[Document]) -> list[Document]:
    """Return the documents without paragraphs of 8 words or more that an earlier document (or the same) has.

    Equal means equal but for case and white space. What is left of a document under 200 characters is dropped, so a
    document that is said twice disappears.
    """
    seen: set[bytes] = set()
    kept = []
    for document in documents:
        text = "\n\n".join(part for part in _PARAGRAPH.split(document.text) if _is_new(part, seen)).strip()
        if len(text) >= MINIMUM_CHARACTERS:
            kept.append(replace(document, text=text))
    return kept


def cap_groups(documents: list[Document], largest_share: float) -> list[Document]:
    """Return the documents with each group cut to at most a share of the characters that are kept.

    The cap L solves L = share * sum_i min(size_i, L). Which documents of a larger group stay is decided by the hash of
    their text. With fewer than 1/share groups no cap can hold, and nothing is cut.
    """
    limit = _cap(_sizes(documents), largest_share)
    used: dict[str, int] = {}
    kept = []
    for document in sorted(documents, key=lambda document: document.order):
        size = used.get(document.group, 0) + len(document.text)
        if size <= limit:
            used[document.group] = size
            kept.append(document)
    return kept


def _is_new(paragraph: str, seen: set[bytes]) -> bool:
    words = _SPACE.sub(" ", paragraph.casefold()).strip()
    if words.count(" ") < _MINIMUM_WORDS - 1:
        return True
    digest = hashlib.blake2b(words.encode(), digest_size=12).digest()
    if digest in seen:
        return False
    seen.add(digest)
    return True


def _sizes(documents: list[Document]) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for document in documents:
        sizes[document.group] = sizes.get(document.group, 0) + len(document.text)
    return sizes


def _cap(sizes: dict[str, int], share: float) -> float:
    """Return the largest size that a group may have."""
    ordered = sorted(sizes.values(), reverse=True)
    if len(ordered) * share < 1:
        return float("inf")
    for capped in range(len(ordered)):  # suppose that the `capped` largest groups are cut to L
        limit = share * sum(ordered[capped:]) / (1 - share * capped) if share * capped < 1 else float("inf")
        if ordered[capped] <= limit:
            return limit
    return float("inf")
