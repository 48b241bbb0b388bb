"""Source code with syntax colours: Pygments finds the tokens, the page's own style sheet colours them."""

import html


def highlighted(source: str, language: str = "python") -> str:
    """Return code as a `<pre>`; an unknown language is shown without colours.

    Args:
        source: The code.
        language: A name that Pygments knows, or "".
    """
    from pygments import highlight
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import get_lexer_by_name
    from pygments.util import ClassNotFound

    try:
        inner = highlight(source, get_lexer_by_name(language, stripnl=False), HtmlFormatter(nowrap=True))
    except ClassNotFound:
        inner = html.escape(source, quote=False)
    return f'<pre class="code"><code>{inner.rstrip()}</code></pre>\n'
