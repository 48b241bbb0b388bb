r"""Formulas: found in markdown before anything else reads it, shown as MathML.

Markdown knows nothing of formulas: `$|W|$` would split a table's cell and `$a_1 b_1$` would become emphasis. So they
are taken out first, each leaving a mark of private-use characters, and put back where the text is rendered: as MathML
in prose, as their own source in code. Delimiters: $..$, $$..$$, \(..\), \[..\] (also with two backslashes, as
JupyterLab writes them) and bare \begin{..}..\end{..}.
"""

import html
import re
from dataclasses import dataclass

from lib.batch.report.mathml import FormulaError, mathml

__all__ = ["Formula", "FormulaError", "Formulas", "take_out"]

_OPEN, _CLOSE = "\ue000", "\ue001"
_MARK = re.compile(f"{_OPEN}(\\d+){_CLOSE}")

# From left to right: what holds no formulas (code, escaped characters), then the formulas. A dollar opens a formula
# where no space follows and closes it where no space stands before and no digit after: "$5 and $10" is money.
# `$ x $` is a formula too if it has a sign that money has not.
_PIECES = re.compile(
    r"""
      (?P<fence>^[ ]{0,3}(?P<rail>`{3,}|~{3,})[^\n]*\n(?:.*?^[ ]{0,3}(?P=rail)[`~]*[ ]*$|.*\Z))
    | (?P<code>(?<!`)(?P<ticks>`+)(?!`).+?(?<!`)(?P=ticks)(?!`))
    | \$\$(?P<dollars>.+?)(?<!\\)\$\$
    | \\{1,2}\[(?P<brackets>.+?)\\{1,2}\]
    | (?P<environment>\\begin\{(?P<name>[a-z]+\*?)\}.+?\\end\{(?P=name)\})
    | \\{1,2}\((?P<parentheses>.+?)\\{1,2}\)
    | (?P<escaped>\\[\\$`])
    | \$(?P<dollar>(?![\s$])(?:(?!\n\s*\n)[^$])*?(?<![\s\\]))\$(?!\d)
    | \$[ ](?P<spaced>[^$\n]*[\\^_=][^$\n]*)[ ]\$
    """,
    re.VERBOSE | re.DOTALL | re.MULTILINE,
)
_DISPLAYED = ("dollars", "brackets", "environment")
_INLINE = ("parentheses", "dollar", "spaced")


@dataclass(frozen=True)
class Formula:
    """One formula of a text.

    Attributes:
        source: With its delimiters, as it stands in the text.
        latex: Without them.
        display: True for one on a line of its own.
    """

    source: str
    latex: str
    display: bool

    def html(self) -> str:
        """Return MathML in a span that may scroll; raises FormulaError."""
        return f'<span class="{"equation" if self.display else "formula"}">{mathml(self.latex, self.display)}</span>'


class Formulas:
    """The formulas of one text, and the faults met while they were put back.

    Attributes:
        faults: One `FormulaError` a formula that could not be shown.
    """

    def __init__(self, found: list[Formula]) -> None:
        self._found = found
        self.faults: list[FormulaError] = []

    def put_back(self, text: str) -> str:
        """Return rendered text with MathML for marks; a formula that cannot be shown stands as marked source."""
        return _MARK.sub(lambda mark: self._show(self._found[int(mark[1])]), text)

    def put_back_source(self, text: str) -> str:
        """Return text with the formulas' own source for marks, not escaped."""
        return _MARK.sub(lambda mark: self._found[int(mark[1])].source, text)

    def _show(self, formula: Formula) -> str:
        try:
            return formula.html()
        except FormulaError as error:
            self.faults.append(error)
            return f'<code class="fault" title="{html.escape(str(error))}">{html.escape(formula.source)}</code>'


def take_out(markdown: str) -> tuple[str, Formulas]:
    """Return a text with a mark for each formula, and the formulas."""
    found: list[Formula] = []

    def mark(piece: re.Match[str]) -> str:
        kinds = [kind for kind in (*_DISPLAYED, *_INLINE) if piece[kind] is not None]
        if not kinds:
            return piece[0]
        found.append(Formula(piece[0], piece[kinds[0]].strip(), kinds[0] in _DISPLAYED))
        return f"{_OPEN}{len(found) - 1}{_CLOSE}"

    clean = markdown.replace(_OPEN, "").replace(_CLOSE, "")
    return _PIECES.sub(mark, clean), Formulas(found)
