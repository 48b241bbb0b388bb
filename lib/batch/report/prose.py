"""Markdown to HTML: formulas, headings with stable anchors, tables that scroll, pictures inside the page.

nbconvert's own renderer does the rest. Imports nbconvert: import this module where a page has to be built.
"""

import html
import os
import re
import unicodedata
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

from lib.batch.report.code import highlighted
from lib.batch.report.formulas import Formulas, take_out

_HREF = re.compile(r"""(<a\b[^>]*?\bhref=)(["'])(.*?)\2""", re.IGNORECASE)
_WEB = re.compile(r"[a-z][a-z0-9+.-]*:|//|#", re.IGNORECASE)


@dataclass(frozen=True)
class Heading:
    """A heading of a notebook.

    Attributes:
        level: 1 for the title.
        anchor: Its id in the page: the words of the heading, so that a link survives a rebuild.
        html: What stands in it.
        text: The same without markup.
    """

    level: int
    anchor: str
    html: str
    text: str


@dataclass(frozen=True)
class Place:
    """Where a text comes from and where its page will stand, so that relative links still lead somewhere.

    Attributes:
        source: Folder of the notebook.
        page: Folder of the page.
        notebooks: Folder of all notebooks: a link to one of them leads to its runs in the index.
        index: The index page.
    """

    source: Path
    page: Path
    notebooks: Path
    index: Path

    def link(self, address: str) -> str:
        """Return an address as it must stand in the page; one that leads to no file is left as it is."""
        path, _, fragment = address.partition("#")
        target = Path(os.path.normpath(self.source / unquote(path)))
        if _WEB.match(address) or not path or not target.exists():
            return address
        if target.suffix == ".ipynb" and target.is_relative_to(self.notebooks):
            name = target.relative_to(self.notebooks).with_suffix("").as_posix()
            return f"{_relative(self.index, self.page)}#{name}"
        return _relative(target, self.page) + (f"#{fragment}" if fragment else "")

    def relink(self, markup: str) -> str:
        """Return HTML with its links as they must stand in the page."""
        return _HREF.sub(lambda found: f'{found[1]}"{html.escape(self.link(html.unescape(found[3])))}"', markup)


class Prose:
    """Renders the markdown of one notebook and keeps account of its headings.

    Attributes:
        headings: Of all texts rendered so far, in their order.
        faults: One sentence a formula that could not be shown.
    """

    def __init__(self, place: Place) -> None:
        self.headings: list[Heading] = []
        self.faults: list[str] = []
        self._place = place

    def html(self, markdown: str, attachments: dict[str, Any] | None = None) -> str:
        """Return a text as HTML.

        Args:
            markdown: The text.
            attachments: Pictures that the cell brings along, as nbformat stores them.
        """
        text, formulas = take_out(markdown)
        renderer = _Renderer(self, self._place, formulas, attachments or {})
        rendered = MarkdownWithMath(renderer=renderer).render(text)
        self.faults += [str(fault) for fault in formulas.faults]
        return rendered

    def anchor(self, text: str) -> str:
        """Return an id for a heading that no other heading has."""
        words = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
        base = re.sub(r"[^a-z0-9]+", "-", words).strip("-") or "section"
        # The cells' own ids, and the place that verdicts link to, stay theirs.
        base = f"section-{base}" if base == "record" or re.fullmatch(r"cell-\d+", base) else base
        taken = {heading.anchor for heading in self.headings}
        return next(name for name in chain([base], (f"{base}-{number}" for number in count(2))) if name not in taken)


class _Renderer(IPythonRenderer):
    """nbconvert's renderer, with formulas put back where they belong."""

    def __init__(self, prose: Prose, place: Place, formulas: Formulas, attachments: dict[str, Any]) -> None:
        super().__init__(escape=False, embed_images=True, path=str(place.source), attachments=attachments)
        self._prose, self._place, self._formulas = prose, place, formulas

    def text(self, text: str) -> str:
        return self._formulas.put_back(super().text(text))

    def inline_html(self, html: str) -> str:
        return self._place.relink(self._formulas.put_back(super().inline_html(html)))

    def block_html(self, html: str) -> str:
        return self._place.relink(self._formulas.put_back(super().block_html(html)))

    def codespan(self, text: str) -> str:
        return super().codespan(self._formulas.put_back_source(text))

    def block_code(self, code: str, info: str | None = None) -> str:
        return highlighted(self._formulas.put_back_source(code), (info or "").split(" ")[0])

    def heading(self, text: str, level: int, **attributes: Any) -> str:  # noqa: ANN401 - mistune's signature
        plain = html.unescape(re.sub(r"<[^>]+>", "", text)).strip()
        heading = Heading(level, self._prose.anchor(plain), text, plain)
        self._prose.headings.append(heading)
        link = f'<a class="anchor" href="#{heading.anchor}" aria-label="Link to this section">¶</a>'
        return f'<h{level} id="{heading.anchor}">{text} {link}</h{level}>\n'

    def table(self, text: str) -> str:
        return f'<div class="table"><table>\n{text}</table></div>\n'

    def block_text(self, text: str) -> str:
        return f'<span class="line">{text}</span>'

    def link(self, text: str, url: str, title: str | None = None) -> str:
        return super().link(text, self._place.link(self._formulas.put_back_source(url)), title)

    def image(self, text: str, url: str, title: str | None = None) -> str:
        return super().image(self._formulas.put_back_source(text), url, title)


def _relative(target: Path, folder: Path) -> str:
    return Path(os.path.relpath(target, folder)).as_posix()
