"""Arrows between the rooms of `lib` run one way."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from lib.checkout import Checkout

LIB = Checkout().lib
LEAVES = {"checkout", "progress", "plotting", "environment", "machine"}
BELOW_PAPERS = {"kernels", "models", "corpora", "chat", "ledger", "artifacts"}

# What each shared room may import besides itself and the leaves. A paper's room is one that states claims.
ALLOWED = {
    "artifacts": set(),
    "catalogue": set(),
    "kernels": set(),
    "corpora": {"artifacts"},
    "models": {"artifacts", "corpora"},
    "chat": {"artifacts", "models"},
    "ledger": set(),
    "batch": {"ledger", "catalogue"},
}


def rooms() -> list[str]:
    return sorted({path.stem if path.suffix else path.name for path in LIB.iterdir() if not path.name.startswith("_")})


def papers() -> set[str]:
    return {path.parent.name for path in LIB.glob("*/claims.py")}


def modules(room: str) -> list[Path]:
    single = LIB / f"{room}.py"
    return [single] if single.exists() else sorted((LIB / room).rglob("*.py"))


def imported_rooms(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module == "lib":
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("lib."):
            yield node.module.split(".")[1]
        elif isinstance(node, ast.Import):
            yield from (name.name.split(".")[1] for name in node.names if name.name.startswith("lib."))


def forbidden(room: str, source: str) -> list[str]:
    allowed = BELOW_PAPERS if room in papers() else ALLOWED.get(room, set())
    own = {room} | LEAVES if room != "kernels" else {room}
    return sorted(set(imported_rooms(source)) - allowed - own)


@pytest.mark.parametrize("room", rooms())
def test_a_room_imports_only_what_lies_below_it(room):
    for module in modules(room):
        assert not forbidden(room, module.read_text()), f"{module.name} imports {forbidden(room, module.read_text())}"


@pytest.mark.parametrize("room", ["batch", "ledger", "catalogue", "artifacts", "models"])
def test_shared_rooms_name_no_paper(room):
    for module in modules(room):
        tree = ast.parse(module.read_text())
        names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)} | set(
            imported_rooms(ast.unparse(tree))
        )
        texts = {
            node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)
        }
        assert not papers() & (names | texts), f"{module} names a paper"


@pytest.mark.parametrize(
    ("room", "source"),
    [
        ("batch", "from lib.onebit import svid"),
        ("ledger", "import lib.batch.plan"),
        ("kernels", "def f():\n    from lib import artifacts"),
        ("onebit", "from lib import delta_come"),
        ("models", "from lib import ledger"),
    ],
)
def test_an_arrow_that_runs_the_other_way_is_found(room, source):
    assert forbidden(room, source)


def test_every_module_says_what_it_is_for():
    for module in sorted(LIB.rglob("*.py")):
        assert ast.get_docstring(ast.parse(module.read_text())), f"{module.relative_to(LIB)} has no docstring"


def test_the_project_speaks_of_itself_alone():
    local_path = re.compile(r"(?<![\w.])/(home|root|work|Users)/\w")
    for folder in ("lib", "notebooks", ".ci", ".github"):
        for path in sorted((LIB.parent / folder).rglob("*")):
            if path.suffix in {".py", ".ipynb", ".yaml", ".yml", ".md", ".css", ".js", ".html"} and path != Path(
                __file__
            ):
                assert not local_path.search(path.read_text(encoding="utf-8")), f"{path} names a path of one machine"
