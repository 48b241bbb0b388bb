"""What a notebook measures: one frozen dataclass a notebook."""

from dataclasses import Field, dataclass, field, fields
from typing import Any

_TIMING = "timing"


@dataclass(frozen=True)
class Metrics:
    """Base of every paper's metrics.

    A field is an int, float, str, bool, a tuple of those, a `dict[str, float]`, or one of them or None.

    Attributes:
        model: What was measured on, e.g. "SmolLM2-135M-Instruct".
        model_parameters: Its number of parameters, 0 without a model; the board prefers the larger.
    """

    model: str
    model_parameters: int


def timing() -> Any:  # noqa: ANN401 - as dataclasses.field, it stands in for the field's own type
    """Return a field for a duration or a speed: what differs between two runs of the same code.

    Use: `seconds: float = timing()`.
    """
    return field(metadata={_TIMING: True})


def timing_names(metrics: type[Metrics]) -> frozenset[str]:
    """Return the names of the fields that hold durations or speeds."""
    return frozenset(each.name for each in fields(metrics) if is_timing(each))


def is_timing(metric: Field) -> bool:
    """Tell whether a field holds a duration or a speed."""
    return bool(metric.metadata.get(_TIMING))
