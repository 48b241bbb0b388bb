r"""LaTeX to the MathML that browsers draw (MathML Core), without a script or a font.

latex2mathml does the reading. It lets unknown macros through silently and writes parts of MathML that browsers have
dropped (`mathvariant`, `columnalign`, limits under operators as subscripts), so its result is amended here and refused
where anything of the LaTeX is left. Left out: \middle, \cancel, \multicolumn and macros of one's own; all are refused.
"""

import re
import unicodedata
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

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
_NAMES = {r"\arg": "arg", r"\argmax": "arg max", r"\argmin": "arg min", r"\diag": "diag", r"\sign": "sign"}
_LIMITS = {"max", "min", "sup", "inf", "lim", "lim sup", "lim inf", "Pr", "arg max", "arg min", "argmax", "argmin"}

_UNFIT = {  # elements and attributes that no browser draws any more
    "menclose": "a crossed-out or boxed term",
    "mlabeledtr": "a label inside a table",
}
_FENCES = {"|", "‖"}
_VARIANTS = {
    "bold": "BOLD", "bold-italic": "BOLD ITALIC", "double-struck": "DOUBLE-STRUCK", "script": "SCRIPT",
    "fraktur": "FRAKTUR", "sans-serif": "SANS-SERIF", "monospace": "MONOSPACE",
}  # fmt: skip


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
    from latex2mathml.exceptions import LatexError

    source, tag = _without_tag(latex)
    try:
        text = convert(_prepared(source), display="block" if display else "inline")
        root = ElementTree.fromstring(text.replace(' xmlns="http://www.w3.org/1998/Math/MathML"', ""))
    except (LatexError, ElementTree.ParseError, IndexError, KeyError, ValueError, TypeError, StopIteration) as error:
        raise FormulaError(f"formula {latex!r}: {type(error).__name__} {error}") from error
    for amend in (_operators, _variants, _upright_words, _fences, _spaces, _limits if display else _nothing):
        for element in list(root.iter()):
            amend(element)
    _refuse_leftovers(root, latex)
    number = f'<span class="tag">({tag})</span>' if tag else ""
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

    latex = re.sub(r"\\(begin|end)\{([a-z]+\*?)\}", environment, latex)
    # An operator's own spaces (arg\,max) would be read as a product.
    latex = re.sub(r"\\operatorname\*?\{([^{}]*)\}", lambda match: _operator(match[1]), latex)
    return re.sub(r"\\(?:arg(?:max|min)?|diag|sign)(?![A-Za-z])", lambda match: _operator(_NAMES[match[0]]), latex)


def _operator(name: str) -> str:
    plain = re.sub(r"\\[,;: ]|\s+", " ", name).strip()
    return rf"\operatorname{{{plain}}}" if not plain.startswith("\\") else rf"\mathop{{{name}}}"


def _operators(element: Element) -> None:
    """Names of functions are words, not signs; signs that came as letters are signs."""
    text = (element.text or "").strip("\u2061")
    if element.tag == "mo" and len(text) > 1 and text[0].isalpha():
        element.tag, element.text = "mi", text.replace("\u00a0", " ")
        element.attrib.clear()
    elif element.tag == "mi" and len(text) == 1 and (unicodedata.category(text) in {"Sm", "Ps", "Pe"} or text in ":~‖"):
        element.tag, element.text = "mo", text.replace("~", "∼")
        if unicodedata.category(text) != "Sm" or text in "⌊⌋⌈⌉":
            element.set("stretchy", "false")
    if element.tag == "mo" and text in (r"\{", r"\}", r"\|"):  # as \Bigl and its kin leave them
        element.text = text[1].replace("|", "‖")
    elif element.tag == "mover" and len(element) == 2 and element[1].tag == "mo":
        # A hat of ASCII sits as low as the letter; the accent of the same look sits above it.
        element[1].text = {"^": "ˆ", "~": "˜", "―": "‾", "¯": "‾"}.get(element[1].text or "", element[1].text)
        element.set("accent", "true")


def _variants(element: Element) -> None:
    """Bold, blackboard and other letters have code points of their own; `mathvariant` is no longer drawn."""
    variant = _VARIANTS.get(element.get("mathvariant", ""))
    if variant is None or element.tag not in {"mi", "mn"} or not element.text:
        return
    letters = [_letter(character, variant) for character in element.text]
    if all(letters):
        del element.attrib["mathvariant"]
        element.text = "".join(letter for letter in letters if letter)


def _letter(character: str, variant: str) -> str | None:
    plain = re.sub(r"^(LATIN|GREEK) ", "", unicodedata.name(character, "")).replace(" LETTER", "")
    for name in (f"MATHEMATICAL {variant} {plain}", f"{variant} {plain}"):  # ℝ and ℒ are older than the others
        try:
            return unicodedata.lookup(name)
        except KeyError:
            continue
    return None


def _upright_words(element: Element) -> None:
    """`\\mathrm{rank}` comes as four letters; one word is drawn and read better."""
    letters = list(element)
    if (
        element.tag == "mrow"
        and letters
        and all(letter.tag == "mi" and letter.get("mathvariant") == "normal" and not len(letter) for letter in letters)
    ):
        word = Element("mi", {"mathvariant": "normal"} if len(letters) == 1 else {})
        word.text = "".join(letter.text or "" for letter in letters)
        element[:] = [word]


def _fences(element: Element) -> None:
    """Bars come without a side; in a row with an even number of them they open and close in turn."""
    bars = [bar for child in element for bar in [_core(child)] if bar is not None and not bar.get("form")]
    if element.tag not in {"mrow", "mtd", "math"} or not bars or len(bars) % 2:
        return
    for index, bar in enumerate(bars):
        bar.attrib.update({"form": "postfix" if index % 2 else "prefix", "stretchy": "false"})


def _core(child: Element) -> Element | None:
    if child.tag in {"msub", "msup", "msubsup"} and len(child):
        child = child[0]
    return child if child.tag == "mo" and child.text in _FENCES else None


def _spaces(element: Element) -> None:
    if element.tag == "mspace" and element.get("width") == "negativethinmathspace":
        element.set("width", "-0.167em")


def _limits(element: Element) -> None:
    if element.tag in {"msub", "msubsup"} and len(element) and (element[0].text or "") in _LIMITS:
        element.tag = {"msub": "munder", "msubsup": "munderover"}[element.tag]


def _nothing(element: Element) -> None:
    pass


def _refuse_leftovers(root: Element, latex: str) -> None:
    for element in root.iter():
        left = re.search(r"\\[A-Za-z]*|[&$]", (element.text or "") + (element.tail or ""))
        if left:
            raise FormulaError(f"formula {latex!r}: {left[0]!r} is not understood; write it with a macro that is")
        if element.tag in _UNFIT:
            raise FormulaError(f"formula {latex!r}: browsers do not draw {_UNFIT[element.tag]} (<{element.tag}>)")
        if element.get("linebreak"):
            raise FormulaError(f"formula {latex!r}: a line break needs an environment such as aligned or cases")
