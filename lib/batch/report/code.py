"""Source code with syntax colours: Pygments finds the tokens, the page's own style sheet colours them."""

import html
from itertools import groupby

# Pygments' kinds of token and the classes of the style sheet, the first that fits; all others have no colour, and
# without a span around each a page is a third smaller.
_CLASSES = {
    "Keyword": "k",
    "Operator.Word": "k",
    "Literal.String.Interpol": "d",
    "Literal.String.Escape": "d",
    "Literal.String": "s",
    "Literal.Number": "m",
    "Comment": "c",
    "Name.Function": "f",
    "Name.Class": "f",
    "Name.Builtin": "b",
    "Name.Exception": "b",
    "Name.Decorator": "d",
}


def highlighted(source: str, language: str = "python") -> str:
    """Return code as a `<pre>`; an unknown language is shown without colours.

    Args:
        source: The code.
        language: A name that Pygments knows, or "".
    """
    from pygments import lex
    from pygments.lexers import get_lexer_by_name
    from pygments.util import ClassNotFound

    try:
        tokens = [(_class(str(kind)), text) for kind, text in lex(source, get_lexer_by_name(language, stripnl=False))]
    except ClassNotFound:
        tokens = [("", source)]
    runs = ((name, "".join(text for _, text in run)) for name, run in groupby(tokens, key=lambda token: token[0]))
    inner = "".join(_coloured(name, html.escape(text, quote=False)) for name, text in runs)
    return f'<pre class="code"><code>{inner.rstrip()}</code></pre>\n'


def _class(kind: str) -> str:
    found = (name for prefix, name in _CLASSES.items() if f"{kind}.".startswith(f"Token.{prefix}."))
    return next(found, "")


def _coloured(name: str, text: str) -> str:
    return f'<span class="{name}">{text}</span>' if name else text
