"""Templates to pages, and the few forms in which pages write statuses, numbers, times and parameters."""

import json
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

TEMPLATES = Path(__file__).parent / "templates"

# Each status by its shape, so that nobody has to tell colours apart; `shapes.svg` draws them.
_SHAPES = {
    "holds": "holds",
    "holds in direction": "direction",
    "fails": "fails",
    "inconclusive": "inconclusive",
    "not measured": "unmeasured",
    "done": "holds",
    "failed": "fails",
    "died": "fails",
    "timed out": "time",
    "interrupted": "stopped",
}


def render(template: str, **values: Any) -> str:  # noqa: ANN401 - whatever the template names
    """Return a page from a template of `templates/`; values are escaped there, but for `Markup`."""
    return _environment().get_template(template).render(**values)


def status(name: str) -> Markup:
    """Return a status as shape and words."""
    shape = _SHAPES.get(str(name), "unmeasured")
    kind = str(name).replace(" ", "-")
    drawn = Markup('<svg aria-hidden="true"><use href="#shape-{}"/></svg>').format(shape)
    return Markup('<span class="status is-{}">{}{}</span>').format(kind, drawn, str(name))


def number(value: float, digits: int = 4) -> str:
    """Return a number for reading: 0.3719, 12 340, 1.2 × 10⁻⁷.

    Args:
        value: The number.
        digits: Significant digits; a whole number keeps all of its own.
    """
    if float(value).is_integer() and abs(value) < 1e15:
        text = f"{int(value):,}"
    elif not 1e-4 <= abs(value) < 1e7:
        mantissa, _, exponent = f"{value:.{digits - 1}e}".partition("e")
        raised = str(int(exponent)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
        text = f"{float(mantissa):g}\u202f×\u202f10{raised}"
    elif abs(value) >= 10**digits:
        text = f"{value:,.0f}"
    else:
        text = f"{value:.{digits}g}"
    return text.replace(",", "\u202f").replace("-", "−")


def duration(seconds: float) -> str:
    """Return a duration as a person says it: 0.4 s, 12.3 s, 2 min 05 s, 1 h 02 min."""
    if seconds < 59.95:
        return f"{seconds:.1f}\u00a0s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60}\u00a0min\u00a0{whole % 60:02d}\u00a0s"
    return f"{whole // 3600}\u00a0h\u00a0{whole % 3600 // 60:02d}\u00a0min"


def moment(iso: str) -> str:
    """Return a point in time to the minute, UTC; text that is none is returned as it is."""
    try:
        when = datetime.fromisoformat(iso)
    except ValueError:
        return iso
    return when.astimezone(UTC).strftime("%Y-%m-%d\u00a0%H:%M\u00a0UTC") if when.tzinfo else iso


def literal(value: Any) -> str:  # noqa: ANN401 - any JSON value
    """Return a parameter's value as it would stand in Python."""
    names = {None: "None", True: "True", False: "False"}
    if value is None or isinstance(value, bool):
        return names[value]
    return json.dumps(value, ensure_ascii=False)


def words(count: int, singular: str, plural: str = "") -> str:
    """Return a count with its noun: 1 run, 2 runs."""
    return f"{count} {singular if count == 1 else plural or singular + 's'}"


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(
        status=status, number=number, duration=duration, moment=moment, literal=literal, words=words, escape=escape
    )
    return environment
