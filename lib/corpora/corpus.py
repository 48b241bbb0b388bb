"""A corpus: read, cleaned, split, measured, and kept in the artifact store."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lib import artifacts
from lib.checkout import Checkout
from lib.corpora.documents import Document, cap_groups, deduplicate
from lib.corpora.errors import CorpusError
from lib.corpora.leaks import leak_rate
from lib.corpora.manifest import SPLITS, Manifest, describe
from lib.corpora.sources import Source, dataset_source, docstring_source, folder_source, is_dataset_folder
from lib.progress import progress

if TYPE_CHECKING:
    from datasets import Dataset

LARGEST_SHARE = 0.20
HELD_OUT_SHARE = 0.10

_VERSION = 1  # of what is done to the documents; part of the recipe
_MANIFEST = "corpus.json"


@dataclass(frozen=True)
class Corpus:
    """Text for training and for measuring, with columns text, group and document.

    Within a split, documents stand in the order of their hash: any first part of it is a fair sample.

    Attributes:
        manifest: What it is made of.
        train: To train on.
        validation: To choose by.
        test: To report on.
    """

    manifest: Manifest
    train: "Dataset"
    validation: "Dataset"
    test: "Dataset"

    def split(self, name: str) -> "Dataset":
        """Return a split by its name.

        Raises:
            CorpusError: There is none of that name.
        """
        if name not in SPLITS:
            raise CorpusError(f"no split {name!r}; there are: {', '.join(SPLITS)}")
        return getattr(self, name)

    def __repr__(self) -> str:
        return repr(self.manifest).replace("Manifest", "Corpus", 1)

    def _repr_html_(self) -> str:
        return self.manifest._repr_html_()


def load(
    source: str | Path = "docstrings",
    *,
    packages: Sequence[str] | None = None,
    config: str | None = None,
    column: str = "text",
    rows: int | None = None,
    largest_share: float = LARGEST_SHARE,
    checkout: Checkout = Checkout(),
) -> Corpus:
    """Return a corpus, made on first use (the docstrings take about a minute, the small set 15 s) and kept.

    Args:
        source: "docstrings"; a folder of .txt, .md or .rst files; a hub data set, or a local folder in its format.
        packages: For docstrings: which of PACKAGES, such as SMALL; default all.
        config: For a data set: its configuration, such as "wikitext-2-raw-v1".
        column: For a data set: the column that holds the text.
        rows: For a data set: at most so many rows of each split.
        largest_share: No group gets more of the characters than this; a data set's own splits are left as they are.
        checkout: The tree whose artifact store keeps it.

    Raises:
        CorpusError: The source is unknown, unreadable, or too small to hold anything out.
    """
    found = _source(source, packages, config, column, rows)
    recipe = {"version": _VERSION, "source": found.recipe, "largest_share": largest_share}

    def make(folder: Path) -> None:
        splits, manifest = _build(found, largest_share)
        (folder / _MANIFEST).write_text(manifest.to_json(), encoding="utf-8")
        with _no_progress_bars():
            for name, documents in splits.items():
                _dataset(documents).save_to_disk(str(folder / name))

    folder = artifacts.store("corpus", recipe, make, checkout)
    return _read(folder)


def _source(
    source: str | Path, packages: Sequence[str] | None, config: str | None, column: str, rows: int | None
) -> Source:
    if packages is not None and source != "docstrings":
        raise CorpusError(f"packages are those of the docstrings; the source is {str(source)!r}")
    if source == "docstrings":
        return docstring_source(packages)
    folder = Path(source).expanduser()
    if folder.is_dir() and not is_dataset_folder(folder):
        return folder_source(folder)
    if isinstance(source, Path) and not folder.is_dir():
        raise CorpusError(f"there is no folder {folder}")
    return dataset_source(str(folder) if folder.is_dir() else str(source), config, column, rows)


def _build(source: Source, largest_share: float) -> tuple[dict[str, list[Document]], Manifest]:
    documents = list(progress(source.read(), "reading"))
    read = sum(len(document.text) for document in documents)
    kept = deduplicate(documents)
    if source.capped:
        kept = cap_groups(kept, largest_share)
    assigned = source.splits or _hold_out(kept)
    splits: dict[str, list[Document]] = {name: [] for name in SPLITS}
    for document in sorted(kept, key=lambda document: document.order):
        splits[assigned[document.group]].append(document)
    _check(source, splits)
    train = [document.text for document in splits["train"]]
    leaks = {
        name: leak_rate(train, [document.text for document in splits[name]]) for name in SPLITS[1:] if splits[name]
    }
    return splits, describe(source.name, splits, read, leaks, source.licences)


def _hold_out(documents: Sequence[Document]) -> Mapping[str, str]:
    """Assign whole groups, by the hash of their names: test until it has a tenth, then validation, the rest trains."""
    sizes: dict[str, int] = {}
    for document in documents:
        sizes[document.group] = sizes.get(document.group, 0) + len(document.text)
    wanted = HELD_OUT_SHARE * sum(sizes.values())
    held_out = {"test": 0, "validation": 0}
    assigned = {}
    for group in sorted(sizes, key=lambda group: hashlib.sha256(group.encode()).hexdigest()):
        split = next((name for name, size in held_out.items() if size < wanted), "train")
        assigned[group] = split
        if split != "train":
            held_out[split] += sizes[group]
    return assigned


def _check(source: Source, splits: Mapping[str, Sequence[Document]]) -> None:
    missing = [name for name in ("train", "test") if not splits[name]]
    if missing:
        groups = sorted({document.group for documents in splits.values() for document in documents})
        raise CorpusError(
            f"{source.name} leaves nothing for {' and '.join(missing)}: {len(groups)} groups hold documents of "
            f"200 characters or more ({', '.join(groups[:5])}); at least 3 groups (sub-folders or files) are needed"
        )


def _dataset(documents: Sequence[Document]) -> "Dataset":
    from datasets import Dataset, Features, Value

    columns = {
        "text": [document.text for document in documents],
        "group": [document.group for document in documents],
        "document": [document.name for document in documents],
    }
    return Dataset.from_dict(columns, Features(dict.fromkeys(columns, Value("string"))))


def _read(folder: Path) -> Corpus:
    from datasets import load_from_disk

    manifest = Manifest.from_json((folder / _MANIFEST).read_text(encoding="utf-8"))
    return Corpus(manifest, **{name: load_from_disk(str(folder / name)) for name in SPLITS})


@contextmanager
def _no_progress_bars() -> Iterator[None]:
    from datasets.utils.logging import disable_progress_bar, enable_progress_bar, is_progress_bar_enabled

    enabled = is_progress_bar_enabled()
    disable_progress_bar()
    try:
        yield
    finally:
        if enabled:
            enable_progress_bar()
