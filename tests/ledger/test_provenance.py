"""Where a record comes from, with git and without."""

import subprocess
import sys
from types import SimpleNamespace

import pytest

from lib import machine
from lib.checkout import Checkout
from lib.ledger.provenance import collect, content_hash, git_state
from tests.ledger.toy import NOTEBOOK


def git(checkout, *arguments):
    names = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
    command = ["git", "-C", str(checkout.root), *names, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def repository(checkout):
    git(checkout, "init", "--quiet")
    git(checkout, "add", ".")
    git(checkout, "commit", "--quiet", "--message", "first")
    return checkout


def notebook(checkout):
    return checkout.notebooks / f"{NOTEBOOK}.ipynb"


def test_a_clean_repository_gives_its_commit(repository):
    made = collect(notebook(repository), repository)
    assert (made.commit, made.dirty, made.content) == (git(repository, "rev-parse", "HEAD"), False, None)


@pytest.mark.parametrize(
    "changed", ["lib/toy/method.py", "lib/toy/new.py", f"notebooks/{NOTEBOOK}.ipynb", "requirements.lock"]
)
def test_changed_code_is_dirty(repository, changed):
    (repository.root / changed).write_text("changed")
    assert git_state(repository)[1] is True


@pytest.mark.parametrize("changed", ["README.md", "reports/records/cpu/toy/x.json", "tests/test_x.py"])
def test_other_changes_are_not_dirty(repository, changed):
    (repository.root / changed).parent.mkdir(parents=True, exist_ok=True)
    (repository.root / changed).write_text("changed")
    assert git_state(repository)[1] is False


def test_a_folder_inside_another_repository_has_no_commit_of_its_own(repository):
    inner = repository.root / "inner"
    inner.mkdir()
    assert git_state(Checkout(inner)) == (None, None)


def test_git_variables_of_a_hook_do_not_mislead(repository, monkeypatch):
    commit = git(repository, "rev-parse", "HEAD")
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    assert git_state(repository) == (commit, False)


def test_without_git_the_content_of_the_sources_stands_in(checkout, monkeypatch):
    monkeypatch.setenv("PATH", "")
    made = collect(notebook(checkout), checkout)
    assert (made.commit, made.dirty, made.content) == (None, None, content_hash(checkout))


@pytest.mark.parametrize(
    ("changed", "moves"),
    [
        ("lib/toy/method.py", True),
        ("requirements.lock", True),
        (f"notebooks/{NOTEBOOK}.ipynb", True),
        ("lib/toy/__pycache__/method.pyc", False),
        ("notebooks/.ipynb_checkpoints/x.ipynb", False),
        ("README.md", False),
    ],
)
def test_the_content_hash_moves_with_the_code_alone(checkout, changed, moves):
    before = content_hash(checkout)
    (checkout.root / changed).parent.mkdir(parents=True, exist_ok=True)
    (checkout.root / changed).write_text("changed")
    assert (content_hash(checkout) != before) is moves


def test_it_names_versions_processor_and_lock(checkout):
    made = collect(notebook(checkout), checkout)
    assert {"numpy", "torch"} <= set(made.versions)
    assert made.python == sys.version.split()[0] and made.device.processor and made.device.cores >= 1
    checkout.lock.write_text("numpy==3.0\n")
    assert collect(notebook(checkout), checkout).lock_hash != made.lock_hash


def test_a_run_on_a_gpu_names_the_one_that_torch_uses(checkout, monkeypatch):
    cuda = SimpleNamespace(is_available=lambda: True, get_device_name=lambda number: f"GPU {number}")
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    assert collect(notebook(checkout), checkout, uses_gpu=True).device.name == "GPU 0"
    assert collect(notebook(checkout), checkout, uses_gpu=False).device.name.startswith("cpu-")


def test_a_run_on_a_gpu_without_torch_names_the_machines(checkout, monkeypatch):
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    expected = machine.describe().device_class
    assert collect(notebook(checkout), checkout, uses_gpu=True).device.name == expected
    assert "torch" not in sys.modules


def test_the_ledger_imports_nothing_heavy():
    code = (
        "import sys, lib.ledger; print([m for m in ('torch', 'numpy', 'scipy', 'psutil', 'rich') if m in sys.modules])"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=Checkout().root
    )
    assert found.stdout.strip() == "[]"
