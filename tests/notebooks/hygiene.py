"""What a committed notebook must be: each rule yields one sentence a fault."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

SECTIONS = (
    "What this notebook shows",
    "Parameters",
    "Results against the paper",
    "What differs from the paper",
    "Next",
)
WITHOUT_SECTIONS = {"00_start_here"}  # it is a door, not a lecture
LONGEST_FUNCTION = 12
LONGEST_CELL = 16  # the house style says about 12; a call with one argument a line may need a few more

_ABSOLUTE = re.compile(r"(?:^|[\s\"'(=])(/(?:home|root|tmp|Users|usr|opt|var|mnt|work)/\w|[A-Z]:\\\\)")
_HEADING = re.compile(r"^(#{1,6}) (.+?)\s*$", re.MULTILINE)
_FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def faults(path: Path) -> list[str]:
    """Return what is wrong with one notebook."""
    book = json.loads(path.read_text(encoding="utf-8"))
    code = [cell for cell in book["cells"] if cell["cell_type"] == "code"]
    rules = (_headings(book, path.stem), _parameters(code), _kernel(book), _run(code), _paths(book), _sizes(code))
    return [fault for rule in rules for fault in rule]


def _headings(book: dict, name: str) -> Iterator[str]:
    text = "\n\n".join(_source(cell) for cell in book["cells"] if cell["cell_type"] == "markdown")
    headings = _HEADING.findall(_FENCED.sub("", text))
    titles = [title for level, title in headings if level == "#"]
    if len(titles) != 1:
        yield f"{len(titles)} headings of the first level, one is expected: {titles}"
    if name in WITHOUT_SECTIONS:
        return
    second = [title for level, title in headings if level == "##"]
    found = [title for title in second if title in SECTIONS]
    if found != list(SECTIONS):
        yield f"the fixed sections are {found}, expected in this order: {list(SECTIONS)}"
    elif second[:2] != list(SECTIONS[:2]) or second[-3:] != list(SECTIONS[2:]):
        yield "the fixed sections do not open and close the notebook"


def _parameters(code: list[dict]) -> Iterator[str]:
    tagged = [cell for cell in code if "parameters" in cell["metadata"].get("tags", [])]
    if len(tagged) != 1:
        yield f"{len(tagged)} cells are tagged `parameters`, one is expected"
    for cell in tagged:
        for line in _source(cell).splitlines():
            if line.strip() and not re.fullmatch(r"[a-z]\w*: [^=]+ = .+  # \S.*", line):
                yield f"in the parameters cell, not `name: type = default  # help`: {line}"


def _kernel(book: dict) -> Iterator[str]:
    kernel = book["metadata"].get("kernelspec", {}).get("name")
    if kernel != "python3":
        yield f"the kernel is {kernel!r}, expected 'python3'"
    extra = set(book["metadata"]) - {"kernelspec", "language_info"}
    if extra:
        yield f"metadata that says nothing to a reader: {sorted(extra)}"


def _run(code: list[dict]) -> Iterator[str]:
    counts = [cell["execution_count"] for cell in code]
    if counts != list(range(1, len(code) + 1)):
        yield f"execution counts {counts} are not those of one clean run"
    for cell in code:
        for output in cell["outputs"]:
            if output["output_type"] == "error":
                yield f"a stored error: {output['ename']}"
            if output.get("name") == "stderr":
                yield f"stored words on standard error: {''.join(output['text'])[:80]!r}"


def _paths(book: dict) -> Iterator[str]:
    for cell in book["cells"]:
        for text in (_source(cell), *(_shown(output) for output in cell.get("outputs", []))):
            found = _ABSOLUTE.search(text)
            if found:
                yield f"an absolute path: {text[max(0, found.start() - 20) : found.end() + 30]!r}"


def _sizes(code: list[dict]) -> Iterator[str]:
    for cell in code:
        lines = _source(cell).splitlines()
        if len(lines) > LONGEST_CELL:
            yield f"a cell of {len(lines)} lines, at most {LONGEST_CELL}: {lines[0]}"
        for node in ast.walk(ast.parse(re.sub(r"^([%!].*)$", r"# \1", _source(cell), flags=re.MULTILINE))):
            if isinstance(node, ast.ClassDef):
                yield f"a class, {node.name}; it belongs in lib"
            elif isinstance(node, ast.FunctionDef) and node.end_lineno - node.lineno >= LONGEST_FUNCTION:
                yield f"a function of over {LONGEST_FUNCTION} lines, {node.name}; it belongs in lib"


def _source(cell: dict) -> str:
    return "".join(cell["source"])


def _shown(output: dict) -> str:
    texts = [output.get("text", "")] + [
        data for kind, data in output.get("data", {}).items() if kind.startswith("text/") or kind.endswith("json")
    ]
    return "\n".join(json.dumps(text) if isinstance(text, dict) else "".join(text) for text in texts)
