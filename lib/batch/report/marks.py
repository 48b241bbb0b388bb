"""A measured number beside the paper's, drawn small enough for a table."""

from markupsafe import Markup

_WIDTH, _HEIGHT, _EDGE = 136, 20, 7  # pixels


def drawing(measured: float | None, interval: tuple[float, float] | None, paper: float | None) -> Markup:
    """Return a line with the measured number (dot), its interval (bar) and the paper's number (tick).

    Nothing is drawn without both numbers: a dot alone on a line has no scale. The numbers stand in the table, so the
    drawing is hidden from readers who do not see it.

    Args:
        measured: The number that decided a verdict.
        interval: Its interval, low and high.
        paper: The paper's one number.
    """
    if measured is None or paper is None:
        return Markup("")
    low, high = interval or (measured, measured)
    values = (low, high, measured, paper)
    # At least a quarter of the number is shown, so that what agrees to a per cent looks as if it did.
    span = max(max(values) - min(values), 0.25 * max(map(abs, values))) or 1.0
    start = (max(values) + min(values) - span) / 2

    def at(value: float) -> str:
        return f"{_EDGE + (_WIDTH - 2 * _EDGE) * (value - start) / span:.1f}"

    bar = f'<path class="bar-of" d="M{at(low)} 10H{at(high)}"/>' if interval else ""
    return Markup(
        f'<svg class="drawing" width="{_WIDTH}" height="{_HEIGHT}" viewBox="0 0 {_WIDTH} {_HEIGHT}" aria-hidden="true">'
        f'<path class="line" d="M0 10H{_WIDTH}"/>{bar}<circle cx="{at(measured)}" cy="10" r="4"/>'
        f'<path class="tick" d="M{at(paper)} 2V18"/></svg>'
    )
