"""Pairs by name: those trained here and the reader's own."""

from pathlib import Path

import pytest

from lib import artifacts
from lib.checkout import Checkout
from lib.delta_come.delta import take_pair
from lib.delta_come.errors import DeltaError
from lib.delta_come.sequential import compress_delta
from lib.delta_come.subject import Sources, Subject, find_sources, load_subject, only_last_blocks
from lib.models import LoadedModel


def test_a_tiny_base_takes_no_fine_tune_of_the_readers():
    with pytest.raises(DeltaError, match="give the base that it was trained from"):
        find_sources("tiny", "some/finetune")


def test_ones_own_pair_is_taken_as_named(tmp_path):
    sources = find_sources("some/base", str(tmp_path))
    assert (sources.base, sources.finetuned, sources.recipe) == ("some/base", str(tmp_path), None)
    assert sources.model == str(tmp_path)


def test_a_trained_pair_comes_with_its_task(subject):
    assert subject.task == "chains"
    assert len(subject.items) == 12
    assert not {item["prompt"] for item in subject.items} & set(subject.texts["task"]["text"])


def test_a_tiny_pair_calibrates_on_the_primer_as_plain_text(subject):
    assert not set(subject.texts["plain"]["text"]) & set(subject.texts["task"]["text"])
    assert subject.blocks("plain", 16, 4).shape == (4, 16)


def test_tiny_pairs_count_as_one_model(subject):
    tiny = Sources("", subject.sources.base, subject.sources.finetuned, None, "tiny")
    own = Sources("", subject.sources.base, subject.sources.finetuned, None, "owner/name")
    assert tiny.parameters(subject.pair) == 100_000
    assert own.parameters(subject.pair) == subject.base.parameters


def test_text_of_an_unknown_kind_is_refused(subject):
    with pytest.raises(DeltaError, match=r"there are .*task"):
        subject.blocks("poems", 16, 4)


def test_ones_own_pair_is_compared_on_how_texts_go_on(subject, tmp_path, monkeypatch):
    monkeypatch.delenv(artifacts.STORE, raising=False)
    (text := tmp_path / "text").mkdir()
    for number in range(40):
        words = " ".join(f"word{number}x{place}" for place in range(200))
        (text / f"{number}.txt").write_text(f"Document {number}.\n{words}\n", encoding="utf-8")
    folders = subject.sources
    mine = Sources("mine", folders.base, folders.finetuned, None, "mine")
    own = load_subject(mine, 2, text=str(text), checkout=Checkout(tmp_path))
    assert own.task is None
    assert [len(item["prompt"]) for item in own.items] == [300] * len(own.items)
    assert own.blocks("task", 16, 2).equal(own.blocks("plain", 16, 2))


def test_the_folders_are_a_pair(subject):
    pair = take_pair(Path(subject.sources.base), Path(subject.sources.finetuned))
    assert pair.projections == subject.pair.projections


def test_a_part_of_the_blocks_is_all_that_is_left_to_compress(base, finetuned, blocks):
    models = (LoadedModel(name, Path(name), each, None) for name, each in (("base", base), ("tuned", finetuned)))
    before, after = models
    whole = Subject(None, before, after, take_pair(before, after), None, (), {})
    part = only_last_blocks(whole, 1)
    changed = [name for name, delta in part.pair.deltas() if delta.any()]
    assert changed == [name for name in whole.pair.projections if ".layers.1." in name]
    assert all(delta.any() for _, delta in whole.pair.deltas())
    matrices = compress_delta(part.base, part.finetuned, "8:1,3:rest", 1 / 4, blocks).matrices
    assert [name for name, matrix in matrices.items() if matrix.true_bytes] == changed
