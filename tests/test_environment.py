"""The lock, and what else names packages."""

import re
import subprocess
import sys
from importlib import metadata

import pytest
import yaml
from packaging.specifiers import SpecifierSet

from lib import AUTHORS, environment
from lib.checkout import Checkout

ROOT = Checkout().root
LOCK = Checkout().lock.read_text().splitlines()


def test_this_environment_satisfies_the_lock():
    assert list(environment.unsatisfied(LOCK)) == []


def test_the_lock_names_what_the_project_is_built_on():
    named = dict(environment.pins(LOCK))
    assert {"jupyterlab", "papermill", "torch", "transformers", "datasets", "matplotlib", "nbval"} <= set(named)


def test_every_pinned_package_takes_the_oldest_python_that_this_project_takes():
    oldest = re.search(r'requires-python = ">=([\d.]+)"', (ROOT / "pyproject.toml").read_text())[1]
    asked = {name: metadata.metadata(name).get("Requires-Python", "") for name, _ in environment.pins(LOCK)}
    assert {name: versions for name, versions in asked.items() if oldest not in SpecifierSet(versions)} == {}
    assert f"sys.version_info < ({oldest.replace('.', ', ')})" in (ROOT / "Makefile").read_text()
    assert f"Python {oldest} or newer" in (ROOT / "README.md").read_text()


def test_the_lock_installs_anywhere():
    assert not [line for line in LOCK if re.search(r"\+|^nvidia|^cuda|@ file|://", line.partition("#")[0])]


def test_triton_is_asked_for_on_linux_alone():
    assert "triton==3.7.1; sys_platform == 'linux'" in LOCK
    assert [line for line in LOCK if line.startswith("torch==")] == ["torch==2.13.0"]


def test_the_lock_drops_local_versions_and_leaves_nvidia_to_torch():
    packages = [("torch", "2.13.0+cpu"), ("nvidia-cublas", "13.1"), ("Triton", "3.7.1"), ("six_papers_rerun", "0.1.0")]
    report = {"install": [{"metadata": {"name": name, "version": version}} for name, version in packages]}
    lines = [line for line in environment.lock_text(report).splitlines() if not line.startswith("#")]
    assert lines == [
        "appnope==0.1.4; sys_platform == 'darwin'",
        "torch==2.13.0",
        "triton==3.7.1; sys_platform == 'linux'",
    ]


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("numpy==0.1", "the lock asks for 0.1"),
        ("no-such-package==1.0", "no-such-package is not installed"),
    ],
)
def test_a_lock_that_is_not_satisfied_says_which_package(line, sentence):
    assert sentence in next(environment.unsatisfied([line]))


@pytest.mark.parametrize("line", ["# a comment", "", "no-such-package==1; sys_platform == 'nowhere'"])
def test_lines_that_ask_for_nothing_here_are_passed_over(line):
    assert list(environment.unsatisfied([line])) == []


def test_a_cpu_build_satisfies_the_plain_version(monkeypatch):
    monkeypatch.setattr(environment.metadata, "version", lambda name: "2.13.0+cpu")
    assert list(environment.unsatisfied(["torch==2.13.0"])) == []


def test_the_check_runs_on_the_standard_library_alone():
    command = [sys.executable, "-S", "-c", "import runpy; runpy.run_path('lib/environment.py')"]
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == 0


def test_conda_users_get_the_same_lock():
    described = yaml.safe_load((ROOT / "environment.yml").read_text())
    pip = next(entry["pip"] for entry in described["dependencies"] if isinstance(entry, dict))
    assert pip == ["--requirement requirements.lock", "--editable ."]


@pytest.mark.parametrize("name", ["pyproject.toml", "CITATION.cff", "NOTICE"])
def test_the_authors_are_named_alike(name):
    assert AUTHORS in (ROOT / name).read_text()
