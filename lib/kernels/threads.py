"""Several threads for a compiled function, from the pool that torch has.

torch's own threads spin for some milliseconds after each product, waiting for the next. A second pool (numba's, say)
would fight them for the cores: measured on 2 cores, a 50 µs product right after a dense one took 7 ms. So the function
is handed to the OpenMP runtime that torch has loaded. Where that has no `GOMP_parallel` (Windows), Python threads serve
instead, which start about 50 µs later.
"""

import ctypes
import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lib.kernels.llvm import Compiled


def run(function: "Compiled", arguments: tuple[int, ...], threads: int) -> None:
    """Call `function` with (0, threads, *arguments) on up to `threads` threads, and wait for it to be done.

    The two leading numbers are the counter from which the threads claim slices, and the number of slices.
    """
    block = (ctypes.c_int64 * (2 + len(arguments)))(0, threads, *arguments)
    if threads == 1:
        function.call(block)
    elif (parallel := _openmp()) is not None:
        parallel(function.address, block, threads, 0)
    else:
        wait([_pool(threads).submit(function.call, block) for _ in range(threads)])


@functools.lru_cache(maxsize=1)
def _openmp() -> Callable[[int, object, int, int], None] | None:
    """`GOMP_parallel(function, data, threads, flags)`: what a compiler makes of `#pragma omp parallel`."""
    import torch  # noqa: F401, loads its OpenMP runtime with global symbols

    try:
        parallel = ctypes.CDLL(None).GOMP_parallel
    except (AttributeError, TypeError, OSError):
        return None
    parallel.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint)
    parallel.restype = None
    return parallel


@functools.lru_cache(maxsize=4)
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="sign-matmul")
