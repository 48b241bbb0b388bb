import random

import pytest

from lib import artifacts
from lib.checkout import Checkout
from lib.corpora import CorpusError, load_tokenizer, tokenizer_folder
from lib.corpora import load as load_corpus
from lib.models import ModelError
from lib.models.quiet import quiet_transformers
from lib.models.tiny import TEACHERS, TinyRecipe, build_tiny
from lib.onebit.training import load_setting
from lib.onebit.training.setting import _corpus

WORDS = ["axis", "row", "norm", "mean", "sum", "array", "value", "index", "shape", "order", "sign", "scale"]


@pytest.fixture(autouse=True)
def _own_store(monkeypatch):
    monkeypatch.delenv(artifacts.STORE, raising=False)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    return Checkout(tmp_path_factory.mktemp("checkout"))


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    """A folder of texts with six groups, of which a tenth each is held out."""
    folder, dice = tmp_path_factory.mktemp("text"), random.Random(0)
    for group in range(6):
        (folder / str(group)).mkdir()
        for document in range(4):
            (folder / str(group) / f"{document}.txt").write_text(" ".join(dice.choices(WORDS, k=400)))
    return str(folder)


@pytest.fixture(scope="module")
def teacher(tmp_path_factory, checkout, text):
    """A folder in the hub's format: an untrained model with a tokenizer of that text."""
    folder = tmp_path_factory.mktemp("teacher")
    with pytest.MonkeyPatch.context() as patch, quiet_transformers():
        patch.delenv(artifacts.STORE, raising=False)
        load_tokenizer(tokenizer_folder(load_corpus(text, checkout=checkout), 270, checkout)).save_pretrained(folder)
        build_tiny(TinyRecipe(width=32, blocks=1, inner=40, steps=1, vocabulary=270)).save_pretrained(folder)
    return str(folder)


def test_a_folder_and_a_folder_of_texts_make_a_setting(teacher, text, checkout):
    setting = load_setting(teacher, text, 16, train_blocks=20, held_out_blocks=5, checkout=checkout)
    assert setting.model.config.hidden_size == 32
    assert [tuple(part.shape) for part in (setting.train, setting.validation, setting.test)] == [
        (20, 16),
        (5, 16),
        (5, 16),
    ]


def test_the_held_out_text_is_other_text(teacher, text, checkout):
    setting = load_setting(teacher, text, 16, 1000, 5, checkout=checkout)
    seen = {tuple(row) for row in setting.train.tolist()}
    assert not seen & {tuple(row) for row in [*setting.validation.tolist(), *setting.test.tolist()]}


def test_a_small_text_gives_the_blocks_that_it_has(teacher, text, checkout):
    setting = load_setting(teacher, text, 16, 10**6, 10**6, checkout=checkout)
    assert 20 < len(setting.train) < 10**6
    assert 5 < len(setting.test) < 10**6


def test_without_a_text_a_tiny_teacher_has_its_own(monkeypatch, checkout):
    asked = []
    monkeypatch.setattr("lib.corpora.load", lambda **options: asked.append(options["packages"]))
    _corpus("mini", "", checkout)
    assert asked == [TEACHERS["mini"].packages]


def test_a_data_sets_configuration_follows_a_colon(monkeypatch, checkout):
    asked = []
    monkeypatch.setattr("lib.corpora.load", lambda source, **options: asked.append((source, options["config"])))
    _corpus("mini", "owner/name:small", checkout)
    _corpus("mini", "owner/name", checkout)
    assert asked == [("owner/name", "small"), ("owner/name", None)]


def test_a_split_that_is_too_short_is_named(teacher, text, checkout):
    with pytest.raises(CorpusError, match=r"the (validation|test|train) split of .*take fewer blocks"):
        load_setting(teacher, text, 10**6, 1, 1, checkout=checkout)


def test_an_unknown_teacher_is_refused(text, checkout):
    with pytest.raises(ModelError, match=r"there is no model 'tiny'.*trained here, are mini"):
        load_setting("tiny", text, 16, 1, 1, checkout=checkout)
