"""How fast tenants are served: tokens a second of mixed batches, and a decode step put together from timed products.

found = sweep(ways, counts, new_tokens, turns)       # ways take turns, as the machine has neighbours
step = decode_step(rows, bandwidth)                  # Llama-2-7B's projections, from `lib.kernels.delta.benchmark`
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING

from lib.delta_come.footprint import LLAMA_2_7B_BLOCK

if TYPE_CHECKING:
    from lib.kernels.delta.benchmark import DeltaRow

Generate = Callable[[int, int], object]  # of so many tenants, one row each, and so many new tokens


@dataclass(frozen=True)
class DecodeStep:
    """One token for each of some tenants through all projections of Llama-2-7B, put together from single products.

    Attributes:
        tenants: Distinct tenants.
        milliseconds: Base products and deltas.
        separate_milliseconds: The same with a whole model for each tenant.
        floor_milliseconds: The bytes of base and deltas over the memory's bandwidth.
    """

    tenants: int
    milliseconds: float
    separate_milliseconds: float
    floor_milliseconds: float

    @property
    def speedup(self) -> float:
        """How many times faster than separate models."""
        return self.separate_milliseconds / self.milliseconds

    @property
    def over_floor(self) -> float:
        """How many times the byte floor."""
        return self.milliseconds / self.floor_milliseconds


def sweep(
    ways: Mapping[str, Generate],
    counts: Sequence[int],
    new_tokens: int,
    turns: int = 3,
    at_most: Mapping[str, int] | None = None,
) -> dict[str, dict[int, float]]:
    """Return tokens a second by way and number of tenants: the median over turns in which the ways take turns.

    Args:
        ways: By name, what generates.
        counts: Numbers of tenants.
        new_tokens: For each row.
        turns: How often everything is timed; before, each is run once.
        at_most: The most tenants of a way that would take too long with more.
    """
    found: dict[str, dict[int, float]] = {name: {} for name in ways}
    for count in counts:
        seconds: dict[str, list[float]] = {name: [] for name in ways if count <= (at_most or {}).get(name, count)}
        for turn in range(turns + 1):
            for name, times in seconds.items():
                start = perf_counter()
                ways[name](count, new_tokens)
                if turn:
                    times.append(perf_counter() - start)
        for name, taken in seconds.items():
            found[name][count] = count * new_tokens / median(taken)
    return found


def decode_step(rows: "Iterable[DeltaRow]", tenants: int, bandwidth: float) -> DecodeStep | None:
    """Return the decode step of so many tenants with one token each; None where a shape of it was not timed.

    Args:
        rows: Of `lib.kernels.delta.benchmark`.
        tenants: How many.
        bandwidth: Of the memory, 10^9 bytes a second.
    """
    from lib.kernels.delta import benchmark

    timed = {
        (row.outputs, row.inputs, row.product): row for row in rows if (row.tenants, row.rows) == (tenants, tenants)
    }
    total = dict.fromkeys((benchmark.OURS, benchmark.SHARED, benchmark.SEPARATE), 0.0)
    moved = 0.0
    for shape in LLAMA_2_7B_BLOCK:
        own = {name: timed.get((*shape, name)) for name in total}
        if None in own.values():
            return None
        for name, row in own.items():
            total[name] += row.timing.median_us
        moved += own[benchmark.OURS].bytes + own[benchmark.SHARED].bytes
    blocks = 32
    milliseconds = {name: blocks * taken / 1e3 for name, taken in total.items()}
    return DecodeStep(
        tenants,
        milliseconds[benchmark.OURS] + milliseconds[benchmark.SHARED],
        milliseconds[benchmark.SEPARATE],
        blocks * moved / bandwidth / 1e6,
    )


def ratios(rows: "Iterable[DeltaRow]") -> dict[str, float]:
    """Return how many times faster than plain torch the kernels are, by shape, tenants and tokens each."""
    from lib.kernels.delta import benchmark

    return {case(row): row.ratio for row in rows if row.product == benchmark.OURS}


def case(row: "DeltaRow") -> str:
    """Return what was timed, such as "576×576, 4 × 1": four tenants with a token each."""
    return f"{row.outputs}×{row.inputs}, {row.tenants} × {row.rows // row.tenants}"
