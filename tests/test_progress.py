"""The bar shows where a person looks and is silent where output is stored."""

from lib.progress import QUIET, progress


def test_progress_yields_every_item(monkeypatch):
    monkeypatch.delenv(QUIET, raising=False)
    assert list(progress(range(3), "count")) == [0, 1, 2]


def test_progress_prints_nothing_when_told_to_be_quiet(monkeypatch, capfd):
    monkeypatch.setenv(QUIET, "1")
    assert list(progress(range(3), "count")) == [0, 1, 2]
    assert capfd.readouterr() == ("", "")
