"""What a notebook reaches, and hashes that move when that changes."""

import json

import pytest

from lib.ledger import fingerprint
from lib.ledger.fingerprint import notebook_code_hash, sources
from tests.ledger.toy import NOTEBOOK, write_notebook


def notebook_of(checkout):
    return checkout.notebooks / f"{NOTEBOOK}.ipynb"


def edit(path, change):
    notebook = json.loads(path.read_text())
    change(notebook)
    path.write_text(json.dumps(notebook))


def test_a_notebook_reaches_the_modules_it_imports_with_their_packages(checkout):
    (checkout.lib / "__init__.py").write_text("")
    assert list(sources(notebook_of(checkout), checkout)) == [
        "lib/__init__.py",
        "lib/toy/__init__.py",
        "lib/toy/method.py",
    ]


def test_imports_are_followed_from_module_to_module(checkout):
    room = checkout.lib / "toy"
    (room / "method.py").write_text("def f():\n    from .deep import inner\n")
    (room / "deep").mkdir()
    (room / "deep" / "__init__.py").write_text("")
    (room / "deep" / "inner.py").write_text("from ..other import x\nfrom lib.toy import method\n")
    (room / "other.py").write_text("")
    reached = set(sources(notebook_of(checkout), checkout))
    assert {"lib/toy/deep/__init__.py", "lib/toy/deep/inner.py", "lib/toy/other.py"} <= reached


LAZY = """
if TYPE_CHECKING:
    from lib.toy.left import left
    from .deep import right, far
def __getattr__(name): ...
"""


@pytest.mark.parametrize(
    ("used", "reached"),
    [
        ("import lib.toy", set()),
        ("from lib.toy import left", {"left.py"}),
        ("from lib import toy\ntoy.right", {"deep/__init__.py"}),
        ("from lib import toy\ntoy.far()", {"deep/__init__.py", "deep/far.py"}),
        ("from lib.toy import *", {"left.py", "deep/__init__.py", "deep/far.py"}),
        ("import lib.toy.left", {"left.py"}),
    ],
)
def test_of_what_a_package_imports_on_first_use_the_used_names_are_reached(checkout, used, reached):
    room = checkout.lib / "toy"
    (room / "deep").mkdir()
    (room / "__init__.py").write_text(LAZY)
    (room / "left.py").write_text("from lib.toy import method")
    (room / "deep" / "__init__.py").write_text(
        "if TYPE_CHECKING:\n    from .far import far\ndef __getattr__(name): ..."
    )
    (room / "deep" / "far.py").write_text("")
    found = set(sources(used, checkout)) - {"lib/toy/__init__.py", "lib/toy/method.py"}
    assert found == {f"lib/toy/{name}" for name in reached}


def test_a_cell_may_use_what_another_imports(checkout):
    (checkout.lib / "toy" / "__init__.py").write_text(LAZY)
    (checkout.lib / "toy" / "left.py").write_text("")
    write_notebook(notebook_of(checkout), "from lib import toy", "toy.left()")
    assert "lib/toy/left.py" in sources(notebook_of(checkout), checkout)


@pytest.mark.parametrize(
    "left_out", ["plotting.py", "progress.py", "ledger/x.py", "batch/x.py", "toy/claims.py", "toy/metrics.py"]
)
def test_modules_that_cannot_change_a_measurement_are_left_out(checkout, left_out):
    (checkout.lib / left_out).parent.mkdir(exist_ok=True)
    (checkout.lib / left_out).write_text("from lib.toy import method")
    name = "lib." + left_out.removesuffix(".py").replace("/", ".")
    assert f"lib/{left_out}" not in sources(f"import {name}", checkout)


def test_a_file_beside_a_module_that_names_it_counts(checkout):
    (checkout.lib / "toy" / "method.py").write_text('SOURCE = "kernel.cpp"')
    (checkout.lib / "toy" / "kernel.cpp").write_text("int a;")
    before = sources(notebook_of(checkout), checkout)["lib/toy/kernel.cpp"]
    (checkout.lib / "toy" / "kernel.cpp").write_text("int b;")
    assert sources(notebook_of(checkout), checkout)["lib/toy/kernel.cpp"] != before


def test_a_change_of_code_shows_at_once(checkout):
    before = sources(notebook_of(checkout), checkout)
    (checkout.lib / "toy" / "method.py").write_text("def half(x):\n    return x / 3\n")
    after = sources(notebook_of(checkout), checkout)
    assert {path for path in before if before[path] != after[path]} == {"lib/toy/method.py"}


def test_python_as_text_is_read_too(checkout):
    assert list(sources("from lib.toy import method", checkout)) == ["lib/toy/__init__.py", "lib/toy/method.py"]


def test_a_module_outside_lib_is_not_followed(checkout):
    assert sources("import numpy\nfrom . import x\nfrom .... import y\nimport library", checkout) == {}


def test_a_module_is_read_once_as_long_as_it_stays_the_same(checkout, monkeypatch):
    before = sources(notebook_of(checkout), checkout)
    monkeypatch.setattr(fingerprint, "read_syntax", lambda source: pytest.fail("read again"))
    assert sources(notebook_of(checkout), checkout) == before


def test_text_outputs_and_injected_parameters_do_not_move_the_notebooks_hash(checkout):
    path = notebook_of(checkout)
    before = notebook_code_hash(path)

    def change(notebook):
        injected = {"cell_type": "code", "metadata": {"tags": ["injected-parameters"]}, "source": ["seed = 3"]}
        empty = {"cell_type": "code", "metadata": {}, "source": []}
        notebook["cells"] = [{"cell_type": "markdown", "source": "# Title"}, *notebook["cells"], injected, empty]
        notebook["cells"][1]["outputs"] = [{"text": "1"}]
        notebook["cells"][1]["source"] = notebook["cells"][1]["source"].splitlines(keepends=True)

    edit(path, change)
    assert notebook_code_hash(path) == before


def test_a_change_of_a_cell_moves_the_notebooks_hash(checkout):
    path = notebook_of(checkout)
    before = notebook_code_hash(path)
    edit(path, lambda notebook: notebook["cells"][0].update(source="seed: int = 1"))
    assert notebook_code_hash(path) != before


def test_two_cells_are_not_one(checkout):
    one = write_notebook(checkout.notebooks / "one.ipynb", "a\nb")
    two = write_notebook(checkout.notebooks / "two.ipynb", "a", "b")
    assert notebook_code_hash(one) != notebook_code_hash(two)


@pytest.mark.parametrize("content", ["{", "[]", '{"worksheets": []}', '{"cells": [1]}'])
def test_a_file_that_is_no_notebook_is_named(checkout, content):
    path = checkout.notebooks / "broken.ipynb"
    path.write_text(content)
    with pytest.raises(ValueError, match=r"broken\.ipynb is no notebook"):
        notebook_code_hash(path)
