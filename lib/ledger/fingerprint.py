"""What code a notebook depends on, as hashes that move only when its meaning can.

A notebook's hash covers its code cells; a module's covers its syntax tree without docstrings, the same under every
Python version.

What it leaves out: modules that cannot change a measurement (`plotting`, `progress`, `ledger`, `batch`; a room's
`claims`, which judge what was measured, and its `metrics`, which name it: a new notebook's dataclass must not make the
others' records stale), and packages from outside, which the lock covers.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from lib.checkout import Checkout
from lib.ledger.syntax import Syntax, read_cell, read_syntax, short_hash

_LEFT_OUT = frozenset({"plotting", "progress", "ledger", "batch"})
_LEFT_OUT_OF_ROOMS = frozenset({"claims", "metrics"})
_INJECTED = "injected-parameters"  # papermill's tag for the cell that it adds


def notebook_code_hash(path: Path) -> str:
    """Return the hash of a notebook's code cells.

    Text, outputs and metadata do not count, nor does the cell that papermill injects: an executed copy has the hash of
    its original.

    Raises:
        ValueError: The file is no notebook.
    """
    return short_hash("\0".join(cell for cell in code_cells(path) if cell.strip()))


def code_cells(path: Path) -> list[str]:
    """Return the sources of a notebook's code cells, the one that papermill injects left out.

    Raises:
        ValueError: The file is no notebook.
    """
    try:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        own = [cell for cell in cells if _INJECTED not in cell.get("metadata", {}).get("tags", [])]
        return ["".join(cell["source"]) for cell in own if cell["cell_type"] == "code"]
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} is no notebook of format 4 ({type(error).__name__}: {error})") from error


def sources(notebook: Path | str, checkout: Checkout = Checkout()) -> dict[str, str]:
    """Return the files of `lib` that a notebook or a piece of Python reaches, with their hashes.

    It reaches what it imports, in functions too, and so on from there; modules named by a string such as
    "lib.onebit.svid" (lazy imports); each package's `__init__`, and of what that imports on first use the names that
    occur; and a file beside a module that the module names by a string (a C source, a table).

    Args:
        notebook: A notebook or module as a Path, or Python source as text.
        checkout: Whose `lib` is looked at.

    Returns:
        Hash by path relative to the root, sorted, such as {"lib/onebit/svid.py": "0f3a…"}.
    """
    found: dict[Path, str] = {}
    parts = _syntaxes(notebook)
    names = frozenset().union(*(part.names for part in parts))  # what one cell imports, another may use
    queue = [path for part in parts for path in _reached(replace(part, names=names), checkout.root, checkout)]
    while queue:
        path = queue.pop()
        if path in found:
            continue
        syntax = _read(path)
        found[path] = syntax.hash
        queue += _reached(syntax, path.parent, checkout)
    return {path.relative_to(checkout.root).as_posix(): found[path] for path in sorted(found)}


def _syntaxes(notebook: Path | str) -> list[Syntax]:
    if isinstance(notebook, str):
        return [read_syntax(notebook)]
    if notebook.suffix == ".ipynb":
        return [read_cell(cell) for cell in code_cells(notebook)]
    return [read_syntax(notebook.read_bytes())]


def _read(path: Path) -> Syntax:
    status = path.stat()
    return _file_syntax(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=4096)
def _file_syntax(path: Path, modified_ns: int, size: int) -> Syntax:
    """Read a file once as long as it stays the same; the two numbers are the cache's key."""
    content = path.read_bytes()
    return read_syntax(content) if path.suffix == ".py" else Syntax(short_hash(content))


def _reached(syntax: Syntax, folder: Path, checkout: Checkout) -> Iterator[Path]:
    """Yield the files that a piece of Python in a folder refers to directly."""
    for name in syntax.modules:
        for file in _module_files(name, folder, checkout):
            yield from _with_lazy_names(file, syntax.names, checkout, set())
    if folder.is_relative_to(checkout.lib):
        yield from (path for name in syntax.files if (path := folder / name).suffix != ".py" and path.is_file())


def _with_lazy_names(file: Path, used: frozenset[str], checkout: Checkout, seen: set[Path]) -> Iterator[Path]:
    """Yield a file and, where it is a package that imports names on first use, those of the used ones."""
    if file in seen:
        return
    seen.add(file)
    yield file
    for name, module in _read(file).lazy:
        if name in used or "*" in used:
            for found in _module_files(module, file.parent, checkout):
                yield from _with_lazy_names(found, used, checkout, seen)


def _module_files(name: str, folder: Path, checkout: Checkout) -> Iterator[Path]:
    """Yield the `__init__` of each package on the way to a module and its own file, as far as they exist."""
    if name.startswith("."):
        level = len(name) - len(name.lstrip("."))
        above = folder if level == 1 else folder.parents[level - 2]
        if not above.is_relative_to(checkout.lib):
            return
        name = ".".join([*above.relative_to(checkout.root).parts, *filter(None, name.lstrip(".").split("."))])
    path = checkout.root
    for part in name.split("."):
        path = path / part
        for file in (path / "__init__.py", path.with_name(path.name + ".py")):
            if file.is_file() and not _is_left_out(file, checkout):
                yield file


def _is_left_out(path: Path, checkout: Checkout) -> bool:
    inside = path.relative_to(checkout.lib).with_suffix("").parts
    return inside[0] in _LEFT_OUT or (len(inside) == 2 and inside[1] in _LEFT_OUT_OF_ROOMS)
