"""What has to change in latex2mathml's result before a browser draws it as LaTeX would.

MathML Core knows no `mathvariant` but "normal"; latex2mathml writes names of functions as signs, some signs as letters,
and the limits of a word operator as subscripts. Each amendment looks at one element and its children.
"""

import itertools
import re
import unicodedata
from xml.etree.ElementTree import Element

_LIMITS = {"max", "min", "sup", "inf", "lim", "Pr", "argmax", "argmin"} | {
    f"{first}\u2009{second}" for first, second in (("arg", "max"), ("arg", "min"), ("lim", "sup"), ("lim", "inf"))
}
_FENCES = {"|", "‖"}
_SIGNS = {"~": "∼", "⧵": "∖"}  # as latex2mathml writes \sim and \setminus: as signs of another meaning or none
_VARIANTS = {
    "bold": "BOLD", "bold-italic": "BOLD ITALIC", "double-struck": "DOUBLE-STRUCK", "script": "SCRIPT",
    "fraktur": "FRAKTUR", "sans-serif": "SANS-SERIF", "monospace": "MONOSPACE",
}  # fmt: skip


def amend(root: Element, display: bool) -> None:
    """Amend a formula in place.

    Args:
        root: Its `<math>` element, without a namespace.
        display: True for a formula on a line of its own, where limits stand below and above.
    """
    for change in (_operators, _variants, _upright_words, _fences, _spaces, _words_apart):
        for element in list(root.iter()):
            change(element)
    for element in root.iter() if display else ():
        _limits(element)


def _operators(element: Element) -> None:
    """Names of functions are words, not signs; signs that came as letters are signs."""
    text = (element.text or "").strip("\u2061")
    if element.tag == "mo" and len(text) > 1 and text[0].isalpha():
        element.tag, element.text = "mi", text.replace("\u00a0", " ")
        element.attrib.clear()
    elif element.tag == "mi" and len(text) == 1 and (unicodedata.category(text) in {"Sm", "Ps", "Pe"} or text in ":~‖"):
        element.tag, element.text = "mo", _SIGNS.get(text, text)
        if unicodedata.category(text) != "Sm" or text in "⌊⌋⌈⌉":
            element.set("stretchy", "false")
    if element.tag == "mo" and text in (r"\{", r"\}", r"\|"):  # as \Bigl and its kin leave them
        element.text = text[1].replace("|", "‖")
    elif element.tag == "mover" and len(element) == 2 and element[1].tag == "mo":
        # `accent` pulls the sign into the letter where the font has no table of accents; without it both kinds fit.
        element[1].text = {"^": "ˆ", "~": "˜", "¯": "‾"}.get(element[1].text or "", element[1].text)
        element.attrib.pop("accent", None)
        element[1].attrib.pop("accent", None)
        if len("".join(element[0].itertext())) == 1:  # one letter's accent keeps its shape
            element[1].set("stretchy", "false")


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
    r"""`\mathrm{rank}` comes as four letters; one word is drawn and read better."""
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
    """A slash stands close, as in a/b; a negative space has a width."""
    if element.tag == "mo" and element.text == "/":
        element.attrib.update({"lspace": "0", "rspace": "0"})
    if element.tag == "mspace" and element.get("width") == "negativethinmathspace":
        element.set("width", "-0.167em")


def _words_apart(element: Element) -> None:
    """A thin space between the name of a function and a letter or number beside it."""
    children = list(element)
    if element.tag not in {"mrow", "mtd", "math", "mstyle"}:
        return
    for before, after in reversed(list(itertools.pairwise(children))):
        if (_is_word(before) and _is_term(after)) or (_is_term(before) and _is_word(after)):
            element.insert(list(element).index(after), Element("mspace", {"width": "0.167em"}))


def _is_word(element: Element) -> bool:
    head = element[0] if element.tag.startswith(("msu", "mun")) and len(element) else element
    head = head[0] if head.tag == "mrow" and len(head) == 1 else head
    return head.tag == "mi" and len(head.text or "") > 1


def _is_term(element: Element) -> bool:
    return element.tag not in {"mo", "mspace", "mtext"}


def _limits(element: Element) -> None:
    if element.tag in {"msub", "msubsup"} and len(element) and (element[0].text or "") in _LIMITS:
        element.tag = {"msub": "munder", "msubsup": "munderover"}[element.tag]
