"""How metrics show themselves in a notebook: deterministic, at most four digits, timings left out."""

import html
from collections.abc import Iterator
from dataclasses import fields

from lib.ledger.digits import four_digits
from lib.ledger.metrics import Metrics, timing_names

_SHOWN_ITEMS = 8  # of a tuple; the file has them all


def metric_rows(metrics: Metrics, timings: bool = False) -> Iterator[tuple[str, str]]:
    """Yield name and text of each metric, one row a key of a dictionary.

    Args:
        metrics: What was measured.
        timings: True to include durations and speeds, which differ from run to run.
    """
    hidden = frozenset() if timings else timing_names(type(metrics))
    for each in fields(metrics):
        value, name = getattr(metrics, each.name), each.name.replace("_", " ")
        if each.name in hidden:
            continue
        if isinstance(value, dict):
            yield from ((f"{name}: {key}", value_text(item)) for key, item in value.items())
        else:
            yield name, value_text(value)


def value_text(value: object) -> str:
    """Return one metric as text: numbers with at most four digits, long tuples cut."""
    if isinstance(value, tuple):
        shown = ", ".join(value_text(item) for item in value[:_SHOWN_ITEMS])
        return shown + (f", … ({len(value)} in all)" if len(value) > _SHOWN_ITEMS else "")
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float) or value is None:
        return four_digits(value)
    return str(value)


def record_line(metrics: Metrics) -> str:
    """Return metrics in one line."""
    return f"{type(metrics).__name__}({', '.join(f'{name}={text}' for name, text in metric_rows(metrics))})"


def record_html(metrics: Metrics) -> str:
    """Return metrics as a table with a row a metric."""
    rows = "".join(
        f'<tr><th scope="row" style="text-align:left">{html.escape(name)}</th>'
        f'<td style="text-align:left">{html.escape(text)}</td></tr>'
        for name, text in metric_rows(metrics)
    )
    caption = f"<caption>Recorded: {html.escape(type(metrics).__name__)}</caption>"
    return f"<table>{caption}<tbody>{rows}</tbody></table>"
