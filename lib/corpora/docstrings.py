"""Docstrings of an installed package, read from its source files by `ast`; nothing of it is imported or run.

Only files that the package's own list (RECORD) names are read, without its tests and vendored copies of others, so the
text is the same wherever that version is installed.
"""

import ast
import warnings
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import PurePosixPath

from lib.corpora.documents import MINIMUM_CHARACTERS, Document
from lib.corpora.errors import CorpusError

_LEFT_OUT = {"test", "tests", "testing", "_vendor", "vendor", "externals", "extern"}

_Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def read_docstrings(package: str) -> Iterator[Document]:
    """Yield the docstrings of 200 characters or more of an installed distribution, file by file, in file order.

    Args:
        package: The distribution's name on the package index, such as "scikit-learn"; it becomes the group.

    Raises:
        CorpusError: It is not installed, or its list of files is missing.
    """
    installed = _installed(package)
    for path in _source_files(installed, package):
        source = installed.locate_file(path).read_bytes()
        for name, text in docstrings_of(source, path.as_posix()):
            if len(text) >= MINIMUM_CHARACTERS:
                yield Document(text, package, f"{path}:{name}")


def docstrings_of(source: bytes, file: str = "<source>") -> Iterator[tuple[str, str]]:
    """Yield name and docstring of a module, its classes and functions, in the order in which they stand.

    Raises:
        CorpusError: The source is not valid Python.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # other people's invalid escape sequences
            tree = ast.parse(source)
    except (SyntaxError, ValueError) as error:
        raise CorpusError(f"{file} is not valid Python ({error}); expected the source that was installed") from error
    for name, node in _documented(tree, ""):
        text = ast.get_docstring(node, clean=False)
        if text:
            yield name or "module", _without_indentation(text)


def version_of(package: str) -> str:
    """Return the installed version without the build's local part: torch 2.13.0+cpu and 2.13.0 say the same.

    Raises:
        CorpusError: The package is not installed.
    """
    return _installed(package).version.partition("+")[0]


def _installed(package: str) -> Distribution:
    try:
        return distribution(package)
    except PackageNotFoundError as error:
        raise CorpusError(
            f"the package {package!r} is not installed, and its docstrings are part of the corpus: "
            "install requirements.lock, or name the packages to use"
        ) from error


def _source_files(installed: Distribution, package: str) -> list[PurePosixPath]:
    if installed.files is None:
        raise CorpusError(f"{package} was installed without a list of its files (RECORD); install it again with pip")
    paths = {PurePosixPath(path) for path in installed.files}
    return sorted(path for path in paths if path.suffix == ".py" and not _LEFT_OUT.intersection(path.parts))


def _documented(node: ast.AST, inside: str) -> Iterator[tuple[str, _Documented]]:
    """Yield modules, classes and functions with their dotted names; statements only, expressions hold none."""
    if isinstance(node, _Documented):
        inside = f"{inside}.{getattr(node, 'name', '')}".strip(".")
        yield inside, node
    for block in ("body", "handlers", "orelse", "finalbody", "cases"):
        for statement in getattr(node, block, []):
            yield from _documented(statement, inside)


def _without_indentation(text: str) -> str:
    """Remove the common indentation; `inspect.cleandoc` does nearly so, and differently from Python 3.13 on."""
    first, *rest = text.expandtabs().splitlines() or [""]
    margin = min((len(line) - len(line.lstrip(" ")) for line in rest if line.strip()), default=0)
    return "\n".join([first.strip(), *(line[margin:].rstrip() for line in rest)]).strip()
