"""What a piece of Python means and what it refers to, read from its syntax tree.

The hash is over the tree alone: comments, layout and docstrings do not move it. `ast.dump` is not used because its text
differs between Python versions. What this leaves out: names that are put together at run time, and imports for type
checkers, which never run; of a package that imports its names on first use (`__getattr__`) these say where each lies.
"""

import ast
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass

_BODY_OF_MAGIC = frozenset({"time", "timeit", "capture", "prun"})  # cell magics whose body runs as Python
_TIMED_LINE = re.compile(r"^(\s*)%(?:time|timeit|prun)\s+(?:-\S+\s+)*", re.MULTILINE)
_MAGIC_LINE = re.compile(r"^(\s*)(?:[%!?].*|[\w.]+\?{1,2}|[\w., ]+=\s*[%!].*)$", re.MULTILINE)
_MODULE_NAME = re.compile(r"(?:lib)?(?:\.[A-Za-z_]\w*)+")
_FILE_NAME = re.compile(r"\w[\w/-]*(?:\.\w+)+")
_SILENT_FIELDS = frozenset({"ctx", "kind", "type_comment", "type_ignores"})  # say nothing that the code does not


@dataclass(frozen=True)
class Syntax:
    """What a piece of Python means and refers to.

    Attributes:
        hash: Of its tree without docstrings.
        modules: Names that may be modules of `lib`: "lib.onebit.svid", or relative, ".svid".
        files: Strings in it that look like a file's name.
        names: All that it imports by name or takes from an object by a dot, "*" among them.
        lazy: Name and module of what a package imports on first use.
    """

    hash: str
    modules: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    names: frozenset[str] = frozenset()
    lazy: tuple[tuple[str, str], ...] = ()


def read_syntax(source: str | bytes) -> Syntax:
    """Return what a module's source means; source with a syntax error counts by its text and refers to nothing."""
    try:
        return _syntax(ast.parse(source))
    except (SyntaxError, ValueError):  # ValueError: null bytes
        text = source.encode(errors="surrogatepass") if isinstance(source, str) else source
        return Syntax(short_hash(text))


def read_cell(cell: str) -> Syntax:
    """Return what a notebook's cell means, its magics (`%`, `!`, `%%`, `?`) left out."""
    first, _, rest = cell.lstrip().partition("\n")
    if first.startswith("%%"):
        cell = rest if first[2:].split(" ")[0] in _BODY_OF_MAGIC else ""
    for candidate in (cell, _MAGIC_LINE.sub(r"\1pass", _TIMED_LINE.sub(r"\1", cell))):
        try:
            return _syntax(ast.parse(candidate))
        except (SyntaxError, ValueError):
            continue
    # No valid Python: the run will say so. Its imports still count, should an unknown magic be the reason.
    imports = (line.strip() for line in cell.splitlines() if line.lstrip().startswith(("import ", "from ")))
    read = [read_syntax(line) for line in imports]
    modules = tuple(name for each in read for name in each.modules)
    return Syntax(short_hash(cell), modules, names=frozenset().union(*(each.names for each in read)))


def short_hash(content: str | bytes) -> str:
    """Return 16 hex digits of SHA-256: enough to tell versions of a file apart."""
    return hashlib.sha256(content.encode() if isinstance(content, str) else content).hexdigest()[:16]


def _syntax(tree: ast.Module) -> Syntax:
    written: list[str] = []
    _write(tree, written)
    strings = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    typed = [node for node in ast.walk(tree) if _is_for_type_checkers(node)]
    silent = {id(inner) for node in typed for statement in node.body for inner in ast.walk(statement)}
    running = [node for node in ast.walk(tree) if id(node) not in silent]
    modules = {*_imports(running), *(text for text in strings if _MODULE_NAME.fullmatch(text))}
    files = sorted(text for text in strings if _FILE_NAME.fullmatch(text))
    is_lazy = any(isinstance(node, ast.FunctionDef) and node.name == "__getattr__" for node in tree.body)
    lazy = sorted({pair for node in typed for pair in _places(node)}) if is_lazy else ()
    return Syntax(short_hash("".join(written)), tuple(sorted(modules)), tuple(files), _names(running), tuple(lazy))


def _write(node: object, written: list[str]) -> None:
    """Write a tree so that every Python from 3.11 on writes the same."""
    if isinstance(node, list):
        for item in node:
            if not _is_string_statement(item):
                _write(item, written)
                written.append(",")
    elif isinstance(node, ast.Constant):
        written.append(ascii(node.value))  # repr of a string depends on the Unicode tables of the version
    elif isinstance(node, ast.AST):
        if isinstance(node, ast.JoinedStr):  # 3.12 puts an empty text behind the braces of f"{x:{width}}"
            node = ast.JoinedStr([each for each in node.values if getattr(each, "value", None) != ""])
        written.append(type(node).__name__ + "(")
        for name in node._fields:
            value = getattr(node, name, None)
            if value is not None and value != [] and name not in _SILENT_FIELDS:  # newer versions add empty fields
                written.append(name + "=")
                _write(value, written)
                written.append(";")
        written.append(")")
    else:
        written.append(ascii(node))


def _is_string_statement(node: object) -> bool:
    """A string that stands alone does nothing: a docstring."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _is_for_type_checkers(node: ast.AST) -> bool:
    """Tell whether it is an `if TYPE_CHECKING:`, in either spelling."""
    test = node.test if isinstance(node, ast.If) else None
    return getattr(test, "id", getattr(test, "attr", None)) == "TYPE_CHECKING"


def _places(block: ast.If) -> Iterator[tuple[str, str]]:
    """Yield each name that a block imports, and from which module of ours."""
    for node in block.body:
        if isinstance(node, ast.ImportFrom) and _is_ours(module := "." * node.level + (node.module or "")):
            yield from ((alias.asname or alias.name, module) for alias in node.names)


def _names(nodes: list[ast.AST]) -> frozenset[str]:
    imported = {alias.name for node in nodes if isinstance(node, ast.ImportFrom) for alias in node.names}
    return frozenset(imported | {node.attr for node in nodes if isinstance(node, ast.Attribute)})


def _imports(nodes: list[ast.AST]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if _is_ours(alias.name))
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            if _is_ours(base):
                yield base
                prefix = base if base.endswith(".") else base + "."
                yield from (prefix + alias.name for alias in node.names if alias.name != "*")


def _is_ours(name: str) -> bool:
    return name == "lib" or name.startswith(("lib.", "."))
