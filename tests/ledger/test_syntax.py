"""A hash that moves with the meaning and with nothing else."""

import pytest

from lib.ledger.syntax import read_cell, read_syntax

CODE = 'def f(x: int) -> str:\n    """Say."""\n    return f"{x:>{2}}" + "a"\n'


@pytest.mark.parametrize(
    "same",
    [
        CODE.replace("Say.", "Say something else."),
        "# a comment\n" + CODE,
        CODE.replace("    return", "\n\n    return").replace("x: int", "x:int"),
        '"""A module docstring."""\n' + CODE,
        CODE.replace('"a"', "'a'"),
        CODE.replace('"a"', "u'a'"),
        CODE.replace("\n", "\r\n"),
    ],
)
def test_docstrings_comments_and_layout_do_not_move_the_hash(same):
    assert read_syntax(same).hash == read_syntax(CODE).hash


@pytest.mark.parametrize(
    "other",
    [
        CODE.replace("{2}", "{3}"),
        CODE.replace('"a"', "b'a'"),
        CODE.replace("int", "float"),
        CODE.replace("return ", "return not "),
        CODE + "None\n",
        CODE.replace("def f(x: int)", "def f(x: int = 0)"),
    ],
)
def test_what_changes_the_meaning_moves_the_hash(other):
    assert read_syntax(other).hash != read_syntax(CODE).hash


@pytest.mark.parametrize(("one", "other"), [("x = 1", "x = True"), ("x = 1", "x = 1.0"), ("x = None", "x = ...")])
def test_equal_values_of_different_types_are_told_apart(one, other):
    assert read_syntax(one).hash != read_syntax(other).hash


def test_the_hash_is_the_same_under_every_version_of_python():
    assert read_syntax(CODE).hash == "7caa8684a2282e0c"


def test_imports_in_functions_and_lazy_names_are_seen():
    source = (
        'import os, lib.a\ndef f():\n    from lib.b import c\n    from . import d\n    return g("lib.e.f"), g(".h")'
    )
    assert set(read_syntax(source).modules) == {"lib.a", "lib.b", "lib.b.c", ".", ".d", "lib.e.f", ".h"}


def test_what_is_imported_for_type_checkers_alone_is_not_reached():
    read = read_syntax("if typing.TYPE_CHECKING:\n    from lib.a import A\nelse:\n    from lib.b import B")
    assert set(read.modules) == {"lib.b", "lib.b.B"}
    assert read.names == {"TYPE_CHECKING", "B"}


LAZY = "if TYPE_CHECKING:\n    import os\n    from .a import A as B\n    from lib.c import C\n    from d import D\n"


def test_what_a_package_imports_on_first_use_is_known_by_name():
    read = read_syntax(LAZY + "def __getattr__(name): ...")
    assert read.lazy == (("B", ".a"), ("C", "lib.c"))
    assert read.modules == ()
    assert read_syntax(LAZY).lazy == ()


def test_imported_and_dotted_names_are_known_those_of_a_broken_cell_too():
    assert read_syntax("from lib.a import b as c, d\ne.f.g = h\nfrom i import *").names == {"b", "d", "f", "g", "*"}
    assert read_cell("from lib.a import b\nnonsense (").names == {"b"}


def test_a_syntax_error_counts_by_its_text():
    assert read_syntax("def (").hash != read_syntax("def ((").hash


@pytest.mark.parametrize(
    "cell",
    [
        "%matplotlib inline\nimport lib.a",
        "!ls -l\nimport lib.a",
        "files = !ls\nimport lib.a",
        "if True:\n    %pip list\nimport lib.a",
        "%time import lib.a",
        "%%time\nimport lib.a",
        "%%capture out\nimport lib.a",
        "import lib.a\nlib.a?",
        "import lib.a\nnonsense (",
        "await f()\nimport lib.a",
    ],
)
def test_magics_do_not_hide_imports(cell):
    assert read_cell(cell).modules == ("lib.a",)


def test_a_cell_in_another_language_imports_nothing():
    assert read_cell("%%bash\nimport lib.a").modules == ()


def test_a_percent_sign_inside_a_string_is_no_magic():
    assert read_cell('text = """\n%d\n"""\nimport lib.a').modules == ("lib.a",)
