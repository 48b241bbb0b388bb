import json

import pytest

from lib import artifacts, corpora
from lib.checkout import Checkout
from lib.corpora import CorpusError, Manifest, load

# Read in a second; one for each split.
PACKAGES = ("packaging", "pyparsing", "jinja2", "tornado")
TEXT = "Line {} of group {} says something that no other line of any file says, and so it goes on and on. "


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    return Checkout(tmp_path_factory.mktemp("checkout"))


@pytest.fixture(autouse=True)
def _own_store(monkeypatch):
    monkeypatch.delenv(artifacts.STORE, raising=False)


@pytest.fixture
def folder(tmp_path):
    for group in range(5):
        (tmp_path / "texts" / f"author{group}").mkdir(parents=True)
        for part in range(4):
            text = "".join(TEXT.format(number, (group, part)) for number in range(5))
            (tmp_path / "texts" / f"author{group}" / f"part{part}.txt").write_text(text)
    return tmp_path / "texts"


def test_docstrings_are_split_by_package(checkout):
    corpus = load(packages=PACKAGES, checkout=checkout)
    assert set(corpus.train["group"]) == {"packaging", "pyparsing"}
    assert set(corpus.validation["group"]) == {"jinja2"}
    assert set(corpus.test["group"]) == {"tornado"}
    assert corpus.train.column_names == ["text", "group", "document"]


def test_the_manifest_counts_what_the_splits_hold(checkout):
    corpus = load(packages=PACKAGES, checkout=checkout)
    manifest = corpus.manifest
    assert manifest.documents("train") == len(corpus.train)
    assert manifest.characters() == sum(
        len(text) for split in ("train", "validation", "test") for text in corpus.split(split)["text"]
    )
    assert {group.name: group.licence for group in manifest.groups}["tornado"] == "Apache-2.0"
    assert sum(group.share for group in manifest.groups) == pytest.approx(1)


def test_held_out_packages_leak_under_five_percent(checkout):
    rates = load(packages=PACKAGES, checkout=checkout).manifest.leak_rate
    assert set(rates) == {"validation", "test"}
    assert all(0 <= rate < 0.05 for rate in rates.values())


def test_it_is_made_once(checkout, monkeypatch):
    first = load(packages=PACKAGES, checkout=checkout)
    monkeypatch.setattr("lib.corpora.corpus.deduplicate", None)
    assert load(packages=PACKAGES, checkout=checkout).manifest == first.manifest


def test_made_again_elsewhere_it_has_the_same_hash(checkout, tmp_path):
    here = load(packages=PACKAGES, checkout=checkout)
    there = load(packages=tuple(reversed(PACKAGES)), checkout=Checkout(tmp_path))
    assert there.manifest == here.manifest
    assert there.train["text"][:] == here.train["text"][:]


def test_a_manifest_survives_its_file(checkout):
    manifest = load(packages=PACKAGES, checkout=checkout).manifest
    assert Manifest.from_json(manifest.to_json()) == manifest


def test_the_default_packages_are_pinned_and_each_split_has_some():
    lock = Checkout().lock.read_text()
    for package in corpora.PACKAGES:
        assert f"\n{package.name}==" in lock
        assert package.licence
    assert {package.split for package in corpora.PACKAGES} == {"train", "validation", "test"}
    assert set(corpora.SMALL) <= {package.name for package in corpora.PACKAGES}


def test_a_folder_of_texts_is_held_out_by_sub_folder(folder, checkout):
    corpus = load(folder, checkout=checkout)
    groups = [set(corpus.split(split)["group"]) for split in ("train", "validation", "test")]
    assert all(groups)
    assert set.union(*groups) == {f"author{number}" for number in range(5)}
    assert sum(map(len, groups)) == 5
    assert corpus.manifest.leak_rate["test"] < 0.5


def test_a_changed_file_is_another_corpus(folder, checkout):
    before = load(folder, checkout=checkout).manifest.sha256
    (folder / "author0" / "part0.txt").write_text("A new text. " + TEXT * 5)
    assert load(folder, checkout=checkout).manifest.sha256 != before


def test_a_data_set_in_the_hubs_format_keeps_its_own_splits(tmp_path, checkout):
    for split in ("train", "validation", "test"):
        lines = [json.dumps({"story": TEXT.format(number, split) * 3}) for number in range(6)]
        (tmp_path / f"{split}.jsonl").write_text("\n".join(lines))
    corpus = load(tmp_path, column="story", checkout=checkout)
    assert [len(corpus.split(split)) for split in ("train", "validation", "test")] == [6, 6, 6]
    assert set(corpus.test["group"]) == {"test"}
    assert len(load(tmp_path, column="story", rows=2, checkout=checkout).train) == 2


def test_a_data_set_without_splits_is_held_out_in_runs_of_rows(tmp_path, checkout):
    lines = [json.dumps({"text": TEXT.format(number, "rows") * 3}) for number in range(200)]
    (tmp_path / "train.jsonl").write_text("\n".join(lines))
    corpus = load(tmp_path, checkout=checkout)
    assert len(corpus.train) + len(corpus.validation) + len(corpus.test) == 200
    assert 20 <= len(corpus.test) <= 30


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"packages": ("nonsense",)}, "no package 'nonsense' in the corpus; there are: babel"),
        ({"packages": ("numpy", "scipy")}, r"none of the packages .* is for \['test'\]"),
        ({"source": "folder", "packages": ("numpy",)}, "packages are those of the docstrings"),
    ],
)
def test_what_cannot_be_used_is_named(arguments, message):
    with pytest.raises(CorpusError, match=message):
        load(**arguments)


def test_an_empty_folder_is_an_error(tmp_path):
    with pytest.raises(CorpusError, match=r"holds no file that ends in \.md, \.rst, \.txt"):
        load(tmp_path)


def test_one_document_is_too_little_to_hold_out(tmp_path, checkout):
    (tmp_path / "one.txt").write_text(TEXT * 5)
    with pytest.raises(CorpusError, match=r"leaves nothing for train.*at least 3 groups"):
        load(tmp_path, checkout=checkout)


def test_a_file_that_is_not_utf8_is_named(tmp_path, checkout):
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9" * 100)
    with pytest.raises(CorpusError, match=r"latin\.txt is not UTF-8"):
        load(tmp_path, checkout=checkout)


def test_an_unknown_column_is_named_with_those_there_are(tmp_path, checkout):
    (tmp_path / "train.jsonl").write_text(json.dumps({"story": "x"}))
    with pytest.raises(CorpusError, match=r"no column 'text' in train; its columns are \['story'\]"):
        load(tmp_path, checkout=checkout)
