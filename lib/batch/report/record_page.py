"""A page for a committed record: what was measured, with which parameters, by what."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lib.batch.report.layout import render
from lib.batch.report.provenance import provenance_rows
from lib.checkout import Checkout

_LONG = 12  # items of a list that are shown at once


@dataclass(frozen=True)
class Metric:
    """One metric as text; `rest` holds what follows the first items of a long list."""

    name: str
    text: str
    rest: str = ""


@dataclass(frozen=True)
class _View:
    """What the template reads."""

    title: str
    kind: str
    notebook: str
    profile: str
    index: str
    file: str
    run: str
    fault: str
    metrics: list[Metric]
    parameters: dict[str, Any]
    threads: str
    provenance: list[tuple[str, str]]


def record_page(path: Path, page: Path, checkout: Checkout, run: str = "", fault: str = "") -> str:
    """Return the page of a committed record.

    Args:
        path: The record.
        page: Where the page will stand.
        checkout: Where both lie.
        run: Address of the run here that gave it, relative to the page; "" if it was made elsewhere.
        fault: What the ledger found wrong with it, "" if nothing.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        stored = content if isinstance(content, dict) else {}
    except ValueError:
        stored = {}
    view = _View(
        title=path.stem,
        kind=str(stored.get("metrics_type", "")),
        notebook=str(stored.get("notebook", "")),
        profile=str(stored.get("profile", "")),
        index=_relative(checkout.index, page),
        file=_relative(path, page),
        run=run,
        fault=fault,
        metrics=list(_metrics(_mapping(stored.get("metrics")))),
        parameters=_mapping(stored.get("parameters")),
        threads=str(stored.get("threads", "")),
        provenance=provenance_rows(_mapping(stored.get("provenance"))),
    )
    return render("record.html.j2", page=view)


def _metrics(metrics: dict[str, Any]) -> Iterator[Metric]:
    for name, value in metrics.items():
        words = name.replace("_", " ")
        if isinstance(value, dict):
            yield from (Metric(f"{words}: {key}", _text(each)) for key, each in value.items())
        elif isinstance(value, list):
            texts = [_text(each) for each in value]
            yield Metric(words, ", ".join(texts[:_LONG]), ", ".join(texts[_LONG:]))
        else:
            yield Metric(words, _text(value))


def _text(value: Any) -> str:  # noqa: ANN401 - any JSON value
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "none"}[value]
    return f"{value:.10g}" if isinstance(value, float) else str(value)


def _mapping(value: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON value
    return value if isinstance(value, dict) else {}


def _relative(target: Path, page: Path) -> str:
    return Path(os.path.relpath(target, page.parent)).as_posix()
