"""What a corpus is made of."""

import html
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256

from lib.corpora.documents import Document

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class GroupCount:
    """One group of a corpus: a package, a sub-folder.

    Attributes:
        name: The group's name.
        split: Where all of it went.
        documents: Number of documents kept.
        characters: Number of characters kept.
        share: Its part of all the corpus' characters, 0 to 1.
        licence: SPDX name where it is known, else "".
    """

    name: str
    split: str
    documents: int
    characters: int
    share: float
    licence: str = ""


@dataclass(frozen=True)
class Manifest:
    """A corpus in numbers.

    Attributes:
        source: "docstrings", the folder's name or the hub data set's.
        sha256: Hash of every split's texts in their order; two corpora with equal hashes hold the same text.
        groups: The groups by name.
        characters_read: Before removing repetitions and capping.
        leak_rate: For each held-out split the share of its 13-grams that stand in the training text, 0 to 1.
    """

    source: str
    sha256: str
    groups: tuple[GroupCount, ...]
    characters_read: int
    leak_rate: dict[str, float]

    def characters(self, split: str | None = None) -> int:
        """Return the number of characters of a split, or of all."""
        return sum(group.characters for group in self.groups if split in (None, group.split))

    def documents(self, split: str | None = None) -> int:
        """Return the number of documents of a split, or of all."""
        return sum(group.documents for group in self.groups if split in (None, group.split))

    def to_json(self) -> str:
        """Return the manifest as text."""
        return json.dumps(asdict(self), indent=1, sort_keys=True) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "Manifest":
        """Read what `to_json` wrote."""
        fields = json.loads(text)
        groups = tuple(GroupCount(**group) for group in fields.pop("groups"))
        return cls(groups=groups, **fields)

    def __repr__(self) -> str:
        leaks = ", ".join(f"{split} {rate:.2%}" for split, rate in self.leak_rate.items())
        return (
            f"Manifest({self.source}: {self.characters() / 1e6:.1f} M characters of {self.characters_read / 1e6:.1f} M "
            f"read, {len(self.groups)} groups, leaked 13-grams: {leaks}; {self.sha256[:12]})"
        )

    def _repr_html_(self) -> str:
        head = (
            "<tr><th>Group</th><th>Split</th><th>Documents</th><th>Characters</th><th>Share</th><th>Licence</th></tr>"
        )
        ordered = sorted(self.groups, key=lambda group: (SPLITS.index(group.split), -group.characters))
        rows = "".join(
            f"<tr><td>{html.escape(group.name)}</td><td>{group.split}</td><td>{group.documents}</td>"
            f"<td>{group.characters}</td><td>{group.share:.1%}</td><td>{html.escape(group.licence)}</td></tr>"
            for group in ordered
        )
        return f"<p>{html.escape(repr(self))}</p><table><thead>{head}</thead><tbody>{rows}</tbody></table>"


def describe(
    source: str,
    splits: Mapping[str, Sequence[Document]],
    characters_read: int,
    leak_rate: Mapping[str, float],
    licences: Mapping[str, str],
) -> Manifest:
    """Return the manifest of split documents."""
    total = sum(len(document.text) for documents in splits.values() for document in documents)
    groups = []
    for split, documents in splits.items():
        sizes: Counter[str] = Counter()
        for document in documents:
            sizes[document.group] += len(document.text)
        counts = Counter(document.group for document in documents)
        groups += [
            GroupCount(name, split, counts[name], size, size / total, licences.get(name, ""))
            for name, size in sizes.items()
        ]
    ordered = tuple(sorted(groups, key=lambda group: (group.name, group.split)))
    return Manifest(source, _hash(splits), ordered, characters_read, dict(leak_rate))


def _hash(splits: Mapping[str, Sequence[Document]]) -> str:
    digest = sha256()
    for split in SPLITS:
        for document in splits.get(split, ()):
            digest.update(f"{split}\0{document.group}\0{document.text}\0".encode())
    return digest.hexdigest()
