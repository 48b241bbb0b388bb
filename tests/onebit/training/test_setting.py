import pytest

from lib import artifacts
from lib.corpora import CorpusError
from lib.models import ModelError
from lib.models.tiny import TEACHERS
from lib.onebit.training import load_setting
from lib.onebit.training.setting import _corpus


@pytest.fixture(autouse=True)
def _own_store(monkeypatch):
    monkeypatch.delenv(artifacts.STORE, raising=False)


def test_a_folder_and_a_folder_of_texts_make_a_setting(teacher_folder, text_folder, checkout):
    setting = load_setting(teacher_folder, text_folder, 16, train_blocks=20, held_out_blocks=5, checkout=checkout)
    assert setting.model.config.hidden_size == 32
    assert [tuple(part.shape) for part in (setting.train, setting.validation, setting.test)] == [
        (20, 16),
        (5, 16),
        (5, 16),
    ]


def test_the_held_out_text_is_other_text(teacher_folder, text_folder, checkout):
    setting = load_setting(teacher_folder, text_folder, 16, 1000, 5, checkout=checkout)
    seen = {tuple(row) for row in setting.train.tolist()}
    assert not seen & {tuple(row) for row in [*setting.validation.tolist(), *setting.test.tolist()]}


def test_a_small_text_gives_the_blocks_that_it_has(teacher_folder, text_folder, checkout):
    setting = load_setting(teacher_folder, text_folder, 16, 10**6, 10**6, checkout=checkout)
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


def test_a_split_that_is_too_short_is_named(teacher_folder, text_folder, checkout):
    with pytest.raises(CorpusError, match=r"the (validation|test|train) split of .*take fewer blocks"):
        load_setting(teacher_folder, text_folder, 10**6, 1, 1, checkout=checkout)


def test_an_unknown_teacher_is_refused(text_folder, checkout):
    with pytest.raises(ModelError, match=r"there is no model 'tiny'.*trained here, are mini"):
        load_setting("tiny", text_folder, 16, 1, 1, checkout=checkout)
