"""What a paper claims, and what a verdict on it can be."""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from lib.ledger.metrics import Metrics

_ID = re.compile(r"[a-z][a-z0-9_]*\.C\d+")


class Status(StrEnum):
    """The verdict in one word or two."""

    HOLDS = "holds"
    HOLDS_IN_DIRECTION = "holds in direction"  # sign as claimed, size outside the tolerance
    FAILS = "fails"
    INCONCLUSIVE = "inconclusive"  # the interval crosses the threshold
    NOT_MEASURED = "not measured"


@dataclass(frozen=True)
class Verdict:
    """What the evidence says about a claim.

    Attributes:
        status: The verdict.
        reason: Why, in one sentence with the numbers that decided.
        measured: The number that decided, in the claim's unit; None where no single number does.
        interval: Low and high end of its 95 % interval; None where there is none (the reason says why).
    """

    status: Status
    reason: str
    measured: float | None = None
    interval: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "status", Status(self.status))
        numbers = [*([] if self.measured is None else [self.measured]), *(self.interval or ())]
        if not all(math.isfinite(number) for number in numbers):
            raise ValueError(
                f"a verdict's numbers are finite, got measured={self.measured}, interval={self.interval}; "
                "leave out what could not be computed and say so in the reason"
            )
        if self.interval is not None and self.interval[0] > self.interval[1]:
            raise ValueError(f"an interval runs from low to high, got {self.interval}")


@dataclass(frozen=True)
class Part:
    """One part of a claim: what measures it and how that is judged.

    Attributes:
        name: What this part is about, in a few words.
        metrics: The metrics that measure it; None where nothing here does.
        judge: Verdict from all metrics of that type, one a record; None exactly where `metrics` is.
        reason: Why it is not measured: required without `metrics`, else shown while there is no record.
    """

    name: str
    metrics: type[Metrics] | None
    judge: Callable[[Sequence[Metrics]], Verdict] | None
    reason: str = ""

    def __post_init__(self) -> None:
        if (self.metrics is None) != (self.judge is None):
            raise ValueError(f"part {self.name!r} needs both metrics and a judge, or neither of them and a reason")
        if self.metrics is None and not self.reason:
            raise ValueError(f"part {self.name!r} is not measured: give the reason, e.g. 'needs a GPU'")


@dataclass(frozen=True)
class Claim:
    """What a paper claims, and how it is tested here.

    Attributes:
        id: The room and the number in the paper's facts file, e.g. "onebit.C1".
        sentence: The claim in one sentence of our own.
        source: Where the paper makes it, e.g. "App. A.7".
        paper_value: The paper's number or numbers; None where it gives none.
        unit: Unit of what is measured here, "" for a plain number.
        paper_scale: What the paper measured on, e.g. "LLaMA-7B".
        scale: What it is tested on here.
        parts: What measures it, usually one part.
        paper_unit: Unit of the paper's numbers, where it is another one; None: the same.
    """

    id: str
    sentence: str
    source: str
    paper_value: float | tuple[float, ...] | None
    unit: str
    paper_scale: str
    scale: str
    parts: tuple[Part, ...]
    paper_unit: str | None = None

    def __post_init__(self) -> None:
        if not _ID.fullmatch(self.id):
            raise ValueError(f"a claim's id is <room>.<number>, such as 'onebit.C1', got {self.id!r}")
        for name in ("sentence", "source", "scale"):
            if not getattr(self, name).strip():
                raise ValueError(f"claim {self.id} has an empty {name}")
        if not isinstance(self.parts, tuple) or not self.parts:
            raise ValueError(f"claim {self.id} needs a tuple of at least one Part, got {self.parts!r}")
        names = [part.name for part in self.parts]
        if len(set(names)) < len(names):
            raise ValueError(f"claim {self.id} has two parts of one name: {names}")
        values = self.paper_value if isinstance(self.paper_value, tuple) else (self.paper_value,)
        if not all(value is None or math.isfinite(value) for value in values):
            raise ValueError(f"claim {self.id} has a paper_value that is not finite: {self.paper_value}")

    @property
    def room(self) -> str:
        """The paper's room in `lib`."""
        return self.id.partition(".")[0]
