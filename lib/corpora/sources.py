"""Where documents come from: docstrings, a folder of text files, a data set in the hub's format."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib.corpora.docstrings import read_docstrings, version_of
from lib.corpora.documents import MINIMUM_CHARACTERS, Document
from lib.corpora.errors import CorpusError
from lib.corpora.manifest import SPLITS
from lib.corpora.packages import PACKAGES

if TYPE_CHECKING:
    from datasets import DatasetDict

_TEXT_FILES = {".txt", ".md", ".rst"}
_TABLES = {".parquet", ".jsonl", ".json", ".csv", ".arrow"}
# A data set without splits of its own is cut into this many runs of rows, which are held out whole.
_RUNS = 100


@dataclass(frozen=True)
class Source:
    """Text before it is cleaned and split.

    Attributes:
        name: What the manifest calls it.
        recipe: All that decides the documents, as JSON values.
        read: Yields the documents, the same and in the same order each time.
        splits: The split of each group, where the source decides it; empty: groups are held out by their hash.
        licences: SPDX name by group, where it is known.
        capped: Whether a group's share is limited.
    """

    name: str
    recipe: dict[str, Any]
    read: Callable[[], Iterator[Document]]
    splits: Mapping[str, str] = field(default_factory=dict)
    licences: Mapping[str, str] = field(default_factory=dict)
    capped: bool = True


def docstring_source(packages: Sequence[str] | None = None) -> Source:
    """Return the docstrings of the packages in PACKAGES, or of some of them.

    Raises:
        CorpusError: A package is not in PACKAGES or not installed, or none of them is for training or for testing.
    """
    known = {package.name: package for package in PACKAGES}
    chosen = sorted(known if packages is None else packages)
    unknown = [name for name in chosen if name not in known]
    if unknown:
        raise CorpusError(f"no package {unknown[0]!r} in the corpus; there are: {', '.join(known)}")
    splits = {name: known[name].split for name in chosen}
    missing = {"train", "test"} - set(splits.values())
    if missing:
        raise CorpusError(
            f"none of the packages {chosen} is for {sorted(missing)}; lib/corpora/packages.py tells which"
        )
    recipe = {
        "packages": {name: version_of(name) for name in chosen},
        "splits": splits,
        "minimum": MINIMUM_CHARACTERS,
    }

    def read() -> Iterator[Document]:
        for name in chosen:
            yield from read_docstrings(name)

    return Source("docstrings", recipe, read, splits, {name: known[name].licence for name in chosen})


def folder_source(folder: Path) -> Source:
    """Return the text files below a folder; a sub-folder of it is a group, or each file where there are none.

    Raises:
        CorpusError: It holds no .txt, .md or .rst file, or one that is not UTF-8.
    """
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in _TEXT_FILES and path.is_file())
    if not paths:
        raise CorpusError(f"{folder} holds no file that ends in {', '.join(sorted(_TEXT_FILES))}")
    names = [path.relative_to(folder).as_posix() for path in paths]
    digests = {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in zip(names, paths, strict=True)}
    by_folder = any("/" in name for name in names)

    def read() -> Iterator[Document]:
        for name, path in zip(names, paths, strict=True):
            try:
                text = path.read_text(encoding="utf-8")
            except UnicodeDecodeError as error:
                raise CorpusError(f"{path} is not UTF-8 text ({error}); convert it or move it away") from error
            yield Document(text, name.split("/")[0] if by_folder else name, name)

    return Source(folder.name, {"files": digests}, read)


def dataset_source(name: str, config: str | None, column: str, rows: int | None) -> Source:
    """Return a data set of the hub, or a local folder in its format (parquet, JSON lines, CSV).

    Its own train, validation and test splits are kept; without a test split, runs of rows are held out.

    Raises:
        CorpusError: It cannot be reached or read, or has no such column.
    """
    data = _load_dataset(name, config)
    if rows is not None:
        data = type(data)({split: part.select(range(min(rows, len(part)))) for split, part in data.items()})
    for split, part in data.items():
        if column not in part.column_names:
            raise CorpusError(f"{name} has no column {column!r} in {split}; its columns are {part.column_names}")
    own = "train" in data and "test" in data
    # The fingerprint is what `datasets` itself caches under; it changes with files, config and rows.
    recipe = {"dataset": name if not Path(name).exists() else Path(name).name, "config": config, "column": column}
    recipe |= {"rows": rows, "sizes": {split: len(part) for split, part in data.items()}, "text": _digest(data, column)}

    def read() -> Iterator[Document]:
        for split, part in data.items():
            for number, text in enumerate(part[column]):
                group = split if own else f"{split} run {number * _RUNS // len(part):02d}"
                yield Document(text or "", group, f"{split}[{number}]")

    splits = {split: split for split in SPLITS if split in data} if own else {}
    return Source(Path(name).name if Path(name).exists() else name, recipe, read, splits, capped=False)


def is_dataset_folder(folder: Path) -> bool:
    """Tell whether a folder holds tables in the hub's format rather than text files."""
    return any(path.suffix.lower() in _TABLES for path in folder.rglob("*"))


def _load_dataset(name: str, config: str | None) -> "DatasetDict":
    from datasets import load_dataset

    try:
        return load_dataset(name, config)
    # The hub's client raises many kinds: no network, no such name, gated, a broken file.
    except Exception as error:
        raise CorpusError(
            f"the data set {name!r} (configuration {config}) cannot be loaded ({type(error).__name__}: {error}). "
            "Give 'docstrings', a folder of text files, a folder of parquet or JSON lines, or a hub name within reach"
        ) from error


def _digest(data: "DatasetDict", column: str) -> str:
    digest = hashlib.sha256()
    for split in sorted(data):
        for text in data[split][column]:
            digest.update((text or "").encode() + b"\0")
    return digest.hexdigest()
