"""What a page would fetch from elsewhere: the check that no request leaves it.

Reads the page as a browser's parser would: attributes that load, style sheets, inline styles and scripts. A plain link
(`<a href>`) is no request. What it leaves out: addresses that a script puts together at run time; the browser tests
record every request for that, and the pages' own content security policy forbids it.
"""

import re
from html.parser import HTMLParser

# Attributes by which an element loads something; `a` and `area` load nothing until a reader follows them.
_LOADING = {"src", "data", "poster", "background", "action", "formaction", "manifest", "ping"}
_LINKS = {"href", "xlink:href"}
_FOLLOWED = {"a", "area"}
_ALLOWED = re.compile(r"\s*(#|data:|about:blank|$)", re.IGNORECASE)
_NAMESPACE = re.compile(r"https?://www\.w3\.org/(1998/Math/MathML|1999/xlink|1999/xhtml|2000/svg|XML/1998/namespace)")
_STYLE_ADDRESS = re.compile(
    r"""@import\s+(?:url\()?\s*["']?([^"');\s]+)|(?:url|image-set)\(\s*["']?([^"')]+)""", re.IGNORECASE
)
_SCRIPT_REQUEST = re.compile(
    r"""\b(?:fetch|importScripts|sendBeacon|XMLHttpRequest|WebSocket|EventSource|SharedWorker|Worker)\s*\("""
    r"""|\bimport\s*\(|^\s*import\b[^;\n]*["'][^"']+["']""",
    re.MULTILINE,
)
_SCRIPT_ADDRESS = re.compile(r"""["'`]\s*((?:https?:|wss?:)?//[^"'`\s]+)""")


def external_references(html: str) -> list[str]:
    """Return what a page refers to outside itself, each as 'where: address', in the order of the page.

    Relative addresses count too: a page is one file. Fragments (`#record`), `data:` and plain links are allowed.

    Args:
        html: The whole page.
    """
    parser = _Page()
    parser.feed(html)
    parser.close()
    return parser.found


class _Page(HTMLParser):
    """Collects addresses while it reads."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[str] = []
        self._inside = ""
        self._text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        for name, value in attributes.items():
            self._attribute(tag, name, value)
        if tag == "meta" and attributes.get("http-equiv", "").lower() == "refresh":
            self._report("meta refresh", attributes.get("content", "").partition("=")[2] or "#")
        if tag in {"style", "script"}:
            self._inside, self._text = tag, []

    def handle_endtag(self, tag: str) -> None:
        if tag == self._inside:
            text, self._inside = "".join(self._text), ""
            if tag == "style":
                self._style("style", text)
            else:
                self._script(text)

    def handle_data(self, data: str) -> None:
        if self._inside:
            self._text.append(data)

    def _attribute(self, tag: str, name: str, value: str) -> None:
        where = f"{tag} {name}"
        if name in {"srcset", "imagesrcset"}:
            # Candidates are parted by a comma and a space; a comma alone stands inside data: addresses.
            for candidate in re.split(r",\s+", value):
                self._report(where, candidate)
        elif name in _LOADING or (name in _LINKS and tag not in _FOLLOWED):
            self._report(where, value)
        elif name == "style" or tag in {"path", "g", "rect", "use"}:
            self._style(where, value)
        elif name.startswith("on"):
            self._script(value)
        elif name == "srcdoc":
            self.found += [f"iframe srcdoc: {each}" for each in external_references(value)]

    def _style(self, where: str, text: str) -> None:
        for match in _STYLE_ADDRESS.finditer(re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)):
            self._report(where, match[1] or match[2])

    def _script(self, text: str) -> None:
        self.found += [f"script: {match[0].strip()}" for match in _SCRIPT_REQUEST.finditer(text)]
        for match in _SCRIPT_ADDRESS.finditer(text):
            if not _NAMESPACE.fullmatch(match[1]):
                self._report("script", match[1])

    def _report(self, where: str, address: str) -> None:
        if not _ALLOWED.match(address):
            self.found.append(f"{where}: {address.strip()[:200]}")
