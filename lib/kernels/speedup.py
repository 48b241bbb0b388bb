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
    """Return by case how many times faster the packed layer is than the fastest dense product, of any dtype.

    Computed from the rows' ratios to one common product, which are medians over turns and so steadier than times.

    Raises:
        ValueError: A case was measured without the packed layer or without a dense product.
    """
    cases: dict[str, dict[str, float]] = {}
    for row in rows:
        cases.setdefault(case(row), {})[row.product] = row.ratio
    found = {}
    for name, ratios in cases.items():
        dense = [ratio for product, ratio in ratios.items() if not product.startswith(OURS)]
        if OURS not in ratios or not dense:
            raise ValueError(f"{name}: a ratio needs {OURS!r} and a dense product, got {sorted(ratios)}")
        found[name] = round(ratios[OURS] / max(dense), 3)
    return found


def read_bandwidth(threads: int = 1, megabytes: int = 256, repeats: int = 8) -> float:
    """Return the bandwidth of reading fp32 numbers from memory, the best of a few tries, in 10⁹ bytes a second.

    The reader is numpy's product of a matrix and a vector, measured to read faster than torch's sums and dot products.

    Args:
        threads: That read.
        megabytes: How much is read each time; far more than the caches hold.
        repeats: How many times.
    """
    import numpy as np
    from threadpoolctl import threadpool_limits

    matrix, vector, times = np.ones((megabytes << 6, 4096), np.float32), np.ones(4096, np.float32), []
    with threadpool_limits(threads):
        for _ in range(repeats):
            start = perf_counter()
            matrix @ vector
            times.append(perf_counter() - start)
    return matrix.nbytes / min(times) / 1e9
