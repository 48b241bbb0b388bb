"""How many times faster the packed layer is than the fastest dense product, over shapes and numbers of rows.

    rows = sweep([(4096, 4096)], [1, 16])
    speedup(rows)              # {"4096×4096, 1 row": 21.3, "4096×4096, 16 rows": 2.8}
    read_bandwidth()           # 27.1, in 10⁹ bytes a second: what the floor of a memory-bound product is made of

Stricter than a benchmark row's own `ratio`, which compares with fp32: here dense bf16 may be the fastest too.
"""

from collections.abc import Iterable, Sequence
from time import perf_counter

from lib.kernels.benchmark import OURS, Row, measure_cpu


def sweep(shapes: Iterable[tuple[int, int]], rows: Sequence[int], threads: int = 1, seconds: float = 0.3) -> list[Row]:
    """Return the benchmark's rows on the CPU for every shape [out, in] and number of rows.

    Args:
        shapes: (outputs, inputs) of each layer.
        rows: Numbers of rows of activations.
        threads: For every product, numpy's too.
        seconds: For each shape and number of rows, at least 5 turns.
    """
    from threadpoolctl import threadpool_limits

    with threadpool_limits(threads):  # numpy would take as many as its environment said when it was imported
        return [row for shape in shapes for count in rows for row in measure_cpu(*shape, count, threads, seconds)]


def case(row: Row) -> str:
    """Return what was measured, in words: "4096×4096, 1 row"."""
    return f"{row.outputs}×{row.inputs}, {row.rows} row{'s' if row.rows > 1 else ''}"


def speedup(rows: Iterable[Row]) -> dict[str, float]:
    """Return by case the median time of the fastest dense product, of any dtype, over that of the packed layer.

    Raises:
        ValueError: A case was measured without the packed layer or without a dense product.
    """
    cases: dict[str, dict[str, float]] = {}
    for row in rows:
        cases.setdefault(case(row), {})[row.product] = row.timing.median_us
    ratios = {}
    for name, times in cases.items():
        dense = [time for product, time in times.items() if not product.startswith(OURS)]
        if OURS not in times or not dense:
            raise ValueError(f"{name}: a ratio needs {OURS!r} and a dense product, got {sorted(times)}")
        ratios[name] = round(min(dense) / times[OURS], 3)
    return ratios


def read_bandwidth(megabytes: int = 256, repeats: int = 5) -> float:
    """Return the bandwidth of reading fp32 numbers from memory, the best of a few tries, in 10⁹ bytes a second.

    Args:
        megabytes: How much is read each time; far more than the caches hold.
        repeats: How many times.
    """
    import torch

    numbers, times = torch.ones(megabytes << 18), []
    for _ in range(repeats):
        start = perf_counter()
        torch.dot(numbers, numbers)  # one operand: read once, and two operations a number hide behind the reading
        times.append(perf_counter() - start)
    return numbers.nbytes / min(times) / 1e9
