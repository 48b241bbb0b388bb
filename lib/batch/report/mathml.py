r"""LaTeX to the MathML that browsers draw (MathML Core), without a script or a font.

latex2mathml does the reading. It lets unknown macros through silently and writes parts of MathML that browsers have
dropped, so its result is amended (`amendments`) and refused where anything of the LaTeX is left. Left out: \middle,
\cancel, \multicolumn and macros of one's own; all are refused.
"""

import html
import re
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from lib.batch.report.amendments import amend

# Before conversion. aligned and align are known to latex2mathml under other names only (align numbers its lines).
_ENVIRONMENTS = {
    "aligned": "split",
    "align": "split",
    "align*": "split",
    "eqnarray": "split",
    "equation": "",
    "equation*": "",
}
_MULTILINE = {"gather": "c", "gather*": "c", "gathered": "c", "multline": "c", "multline*": "c"}
_NAMES = {r"\arg": "arg", r"\argmax": "arg\u2009max", r"\argmin": "arg\u2009min", r"\diag": "diag", r"\sign": "sign"}

_UNFIT = {  # elements and attributes that no browser draws any more
    "menclose": "a crossed-out or boxed term",
    "mlabeledtr": "a label inside a table",
}
_PARTS = {"mfrac": 2, "msub": 2, "msup": 2, "munder": 2, "mover": 2, "mroot": 2, "msubsup": 3, "munderover": 3}


class FormulaError(ValueError):
    """A formula cannot be shown; the message holds it and the reason."""


def mathml(latex: str, display: bool = False) -> str:
    r"""Return a formula as a `<math>` element.

    Args:
        latex: The formula without its delimiters; `\tag{3}` becomes a number at the right.
        display: True for a formula on a line of its own.

    Raises:
        FormulaError: A macro is unknown, braces do not match, or something of the LaTeX would be left in the page.
    """
    from latex2mathml.converter import convert

    source, tag = _without_tag(latex)
    try:
        text = convert(_prepared(source), display="block" if display else "inline")
        root = ElementTree.fromstring(text.replace(' xmlns="http://www.w3.org/1998/Math/MathML"', ""))
    except Exception as error:  # latex2mathml's own have no common base
        raise FormulaError(f"formula {latex!r}: {type(error).__name__} {error}") from error
    if not display:
        root.attrib.pop("display", None)  # inline is what a browser takes without it
    amend(root, display)
    _refuse_leftovers(root, latex)
    number = f'<span class="tag">({html.escape(tag)})</span>' if tag else ""
    return ElementTree.tostring(root, encoding="unicode", short_empty_elements=False) + number


def _without_tag(latex: str) -> tuple[str, str]:
    tag = re.search(r"\\tag\*?\{([^{}]*)\}", latex)
    source = re.sub(r"\\tag\*?\{[^{}]*\}|\\label\{[^{}]*\}|\\nonumber\b|\\notag\b", "", latex)
    return source, tag[1] if tag else ""


def _prepared(latex: str) -> str:
    def environment(match: re.Match[str]) -> str:
        edge, name = match[1], match[2]
        if name in _MULTILINE:
            return r"\begin{array}{c}" if edge == "begin" else r"\end{array}"
        name = _ENVIRONMENTS.get(name, name)
        return rf"\{edge}{{{name}}}" if name else ""

    latex = re.sub(r"\\not\s*=", r"\\neq", re.sub(r"\\(begin|end)\{([a-z]+\*?)\}", environment, latex))
    # An operator's own spaces (arg\,max) would be read as a product.
    latex = re.sub(r"\\operatorname\*?\{([^{}]*)\}", lambda match: _operator(match[1]), latex)
    return re.sub(r"\\(?:arg(?:max|min)?|diag|sign)(?![A-Za-z])", lambda match: _operator(_NAMES[match[0]]), latex)


def _operator(name: str) -> str:
    plain = re.sub(r"\\[,;: ]|\s+", "\u2009", name).strip()
    return rf"\operatorname{{{plain}}}" if not plain.startswith("\\") else rf"\mathop{{{name}}}"


def _refuse_leftovers(root: Element, latex: str) -> None:
    for element in root.iter():
        left = re.search(r"\\[A-Za-z]*|[&$]", (element.text or "") + (element.tail or ""))
        if left:
            raise FormulaError(f"formula {latex!r}: {left[0]!r} is not understood; write it with a macro that is")
        if element.tag in _UNFIT:
            raise FormulaError(f"formula {latex!r}: browsers do not draw {_UNFIT[element.tag]} (<{element.tag}>)")
        if len(element) != _PARTS.get(element.tag, len(element)) or "⧸" in (element.text or ""):
            raise FormulaError(f"formula {latex!r}: <{element.tag}> lacks a part; are all braces there?")
        if element.get("linebreak"):
            raise FormulaError(f"formula {latex!r}: a line break needs an environment such as aligned or cases")
