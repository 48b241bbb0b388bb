"""What README promises: its Python runs, its make targets and modules exist, its links lead somewhere."""

import importlib.util
import re
import subprocess
import sys

import pytest

from lib.checkout import Checkout

ROOT = Checkout().root
TEXT = "\n".join((ROOT / name).read_text() for name in ("README.md", "CONTRIBUTING.md"))
MAKEFILE = (ROOT / "Makefile").read_text()


@pytest.mark.parametrize("code", re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL))
def test_the_python_of_readme_runs(code, tmp_path):
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("target", sorted(set(re.findall(r"(?:^|`)make ([a-z]+)\b", TEXT, re.MULTILINE))))
def test_a_make_target_that_is_named_exists(target):
    assert re.search(rf"^{target}:", MAKEFILE, re.MULTILINE)


@pytest.mark.parametrize("module", sorted(set(re.findall(r"python -m (lib[\w.]*)", TEXT))))
def test_a_module_that_is_named_can_be_run(module):
    assert importlib.util.find_spec(module) or importlib.util.find_spec(f"{module}.__main__")


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\((?!https?:|#)([^)]+)\)", TEXT))))
def test_a_relative_link_leads_somewhere(link):
    assert (ROOT / link).exists()


def test_make_help_lists_every_target():
    phony = re.search(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)[1].split()
    listed = re.findall(r"^([a-z]+):.*## ", MAKEFILE, re.MULTILINE)
    assert sorted(listed) == sorted(phony)
