import pytest

from lib import artifacts
from lib.models import ModelError, __main__
from lib.models.tiny import TinyRecipe

RECIPE = TinyRecipe(
    width=32, blocks=1, inner=48, steps=3, vocabulary=300, packages=("packaging", "jinja2", "click"), length=16, batch=4
)


@pytest.fixture
def run(monkeypatch, tmp_path):
    monkeypatch.setenv(artifacts.STORE, str(tmp_path))
    monkeypatch.setattr(__main__, "TEACHERS", {"smallest": RECIPE})
    return __main__.main


def test_training_names_the_folder_and_what_the_teacher_reached(run, tmp_path, capsys):
    assert run(["train"]) == 0
    (folder,) = tmp_path.glob("teacher-*")
    printed = capsys.readouterr().out
    assert str(folder) in printed
    assert "perplexity" in printed


def test_an_unknown_teacher_is_bad_usage_that_names_those_there_are(run, capsys):
    with pytest.raises(SystemExit) as stopped:
        run(["train", "tall"])
    assert stopped.value.code == 2
    assert "'tall'; there are: smallest" in capsys.readouterr().err


def test_a_training_that_fails_says_why_and_ends_with_1(run, capsys, monkeypatch):
    def fail(recipe):
        raise ModelError("the loss is nan")

    monkeypatch.setattr(__main__, "teacher_folder", fail)
    assert run(["train", "smallest"]) == 1
    assert "smallest: the loss is nan" in capsys.readouterr().err
