"""What notebooks there are: read from the notebooks themselves, so that no list of them exists anywhere.

catalogue.notebooks()      # every notebook: title, paper, the claims that it measures
catalogue.contents()       # the same as a table that shows itself in a notebook
"""

import html
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from lib.checkout import Checkout

_CLAIM = re.compile(r"\b([a-z][a-z0-9_]*)\.(C\d+)\b")
_FIRST_HEADING = re.compile(r"^# (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Notebook:
    """One notebook.

    Attributes:
        path: The file.
        name: Paper and file name without ending, "onebit/02_count_the_bits"; without a paper "00_start_here".
        title: Its H1.
        claims: Ids of the claims that its text names, such as "onebit.C1", in order of appearance.
    """

    path: Path
    name: str
    title: str
    claims: tuple[str, ...]

    @property
    def paper(self) -> str:
        """The paper's room, or the empty text."""
        return self.name.rpartition("/")[0]


@dataclass(frozen=True)
class Contents:
    """A table of notebooks."""

    notebooks: tuple[Notebook, ...]

    def __repr__(self) -> str:
        return "\n".join(f"{one.name}: {one.title}" for one in self.notebooks)

    def _repr_html_(self) -> str:
        rows = "".join(_row(one) for one in self.notebooks)
        head = "<tr><th>Notebook</th><th>What it shows</th><th>Claims</th></tr>"
        return f"<table><thead>{head}</thead><tbody>{rows}</tbody></table>"


def notebooks(checkout: Checkout = Checkout()) -> list[Notebook]:
    """Return all notebooks: those at the top first, then paper by paper, by number."""
    found = [path for path in checkout.notebooks.rglob("*.ipynb") if ".ipynb_checkpoints" not in path.parts]
    paths = sorted(found, key=lambda path: (path.parent != checkout.notebooks, path))
    return [_read(path, checkout) for path in paths]


def contents(checkout: Checkout = Checkout()) -> Contents:
    """Return the papers' notebooks as a table."""
    return Contents(tuple(one for one in notebooks(checkout) if one.paper))


def claims_named(text: str, papers: Iterable[str]) -> tuple[str, ...]:
    """Return the claim ids that a text names, each once; `numpy.C1` is none, because there is no such paper."""
    rooms = set(papers)
    return tuple(dict.fromkeys(match[0] for match in _CLAIM.finditer(text) if match[1] in rooms))


def markdown(path: Path) -> str:
    """Return a notebook's markdown cells as one text."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")


def _read(path: Path, checkout: Checkout) -> Notebook:
    text = markdown(path)
    heading = _FIRST_HEADING.search(text)
    name = path.relative_to(checkout.notebooks).with_suffix("").as_posix()
    return Notebook(path, name, heading[1].strip() if heading else path.stem, claims_named(text, checkout.papers()))


def _row(one: Notebook) -> str:
    claims = ", ".join(claim.rpartition(".")[2] for claim in one.claims)
    cells = (f'<a href="{html.escape(one.name)}.ipynb">{html.escape(one.name)}</a>', html.escape(one.title), claims)
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"
