"""The product with ±1 weights on a CPU: choose the code, cut the rows into groups, keep the buffers.

Up to the rows that one group takes, the machine code of `sign_matmul_cpu_code` reads the packed weights once: out·in/8
bytes, a thirty-second of fp32. Every further group reads them again, from the cache by then. Measured at 4096 × 4096
and 256 rows, one thread: 62 µs a row by look-ups, 82 by torch's dense bf16, 320 to 400 by dense fp32; so there is no
crossover to unpacked weights with AVX. Without AVX (410 µs a row), or with a matrix unit for bf16 (AMX; not measured),
the weights of many rows are unpacked tile by tile, and the dense product of torch does the rest.
"""

import functools
from typing import TYPE_CHECKING

from lib.kernels import threads as pool

if TYPE_CHECKING:
    import torch

    from lib.kernels.llvm import Compiled
    from lib.kernels.sign_matmul_cpu_code import Processor

TILE_OUTPUTS = 512  # unpacked at a time: 8 MB of fp32 at 4096 inputs
WORK_A_THREAD = 1 << 21  # weights · rows below which another thread costs more than it does


def sign_matmul_cpu(
    x: "torch.Tensor",
    words: "torch.Tensor",
    input_scale: "torch.Tensor",
    output_scale: "torch.Tensor",
    threads: int | None = None,
) -> "torch.Tensor":
    """Return ((x ⊙ g) Sᵀ) ⊙ h, [rows, out], fp32 whatever the dtype of x.

    Args:
        x: Activations [rows, in].
        words: Weights in the CPU's order (`layout.py`).
        input_scale: g [in].
        output_scale: h [out].
        threads: How many threads to use; as many as torch by default.
    """
    import torch

    threads = threads or torch.get_num_threads()
    if x.shape[0] == 0:
        return torch.empty(0, len(output_scale))
    if prefers_tiles(x.shape[0], x.dtype):
        return by_tiles(x, words, input_scale, output_scale, threads)
    return by_tables(x, words, input_scale, output_scale, threads)


def by_tables(
    x: "torch.Tensor",
    words: "torch.Tensor",
    input_scale: "torch.Tensor",
    output_scale: "torch.Tensor",
    threads: int,
    processor: "Processor | None" = None,
) -> "torch.Tensor":
    """The product by look-ups. Arguments as in `sign_matmul_cpu`; `processor` as the host by default."""
    import torch

    blocks, columns, _ = words.shape
    rows, processor = x.shape[0], processor or host()
    inputs, g = _fp32(x, columns * 32), _fp32(input_scale, columns * 32)
    h, words = _fp32(output_scale, blocks * 16), words.contiguous()
    y = torch.empty(rows, blocks * 16)
    threads = max(1, min(threads, blocks, rows * words.numel() * 32 // WORK_A_THREAD))
    done = 0
    for size, groups in groups_of(rows, processor.most_rows):
        place = (inputs.data_ptr() + done * columns * 128, columns * 128, g.data_ptr(), words.data_ptr(), h.data_ptr())
        into = (y.data_ptr() + done * blocks * 64, blocks * 64)
        pool.run(_tables(processor, size), (*place, *into, blocks, columns, groups), threads)
        done += size * groups
    return y[:, : len(output_scale)].contiguous()


def by_tiles(
    x: "torch.Tensor",
    words: "torch.Tensor",
    input_scale: "torch.Tensor",
    output_scale: "torch.Tensor",
    threads: int,
) -> "torch.Tensor":
    """The product by unpacked tiles [in, 512] of ±1 in the dtype of x. Arguments as in `sign_matmul_cpu`."""
    import torch

    blocks, columns, _ = words.shape
    words, unpack = words.contiguous(), _unpack(str(x.dtype).removeprefix("torch."))
    inputs = torch.nn.functional.pad((x.float() * input_scale.float()).to(x.dtype), (0, columns * 32 - x.shape[1]))
    tile = torch.empty(columns * 32, min(TILE_OUTPUTS, blocks * 16), dtype=x.dtype)
    y = torch.empty(x.shape[0], blocks * 16, dtype=x.dtype)
    for first in range(0, blocks * 16, TILE_OUTPUTS):
        part = tile[:, : min(TILE_OUTPUTS, blocks * 16 - first)]
        source = words.data_ptr() + first * columns * 4
        pool.run(unpack, (source, tile.data_ptr(), tile.stride(0), part.shape[1] // 16, columns), threads)
        torch.matmul(inputs, part, out=y[:, first : first + part.shape[1]])
    return y[:, : len(output_scale)].float() * output_scale.float()


def groups_of(rows: int, most: int) -> list[tuple[int, int]]:
    """Cut `rows` into as few groups of at most `most` rows as can be, as even as can be: [(rows, how many groups)].

    >>> groups_of(8, 6)
    [(4, 2)]
    >>> groups_of(13, 6)
    [(5, 1), (4, 2)]
    """
    groups = -(-rows // most)
    small, larger = divmod(rows, groups)
    return [(size, count) for size, count in ((small + 1, larger), (small, groups - larger)) if count]


def prefers_tiles(rows: int, dtype: "torch.dtype") -> bool:
    """Whether a dense product of unpacked tiles is faster than look-ups for so many rows on this processor."""
    import torch

    if rows < 32:
        return False
    if host().name == "any":
        return True
    return dtype == torch.bfloat16 and _matrix_unit()


@functools.lru_cache(maxsize=1)
def host() -> "Processor":
    """Return how this processor's look-ups are written."""
    from lib.kernels import sign_matmul_cpu_code as code
    from lib.kernels.llvm import host_features

    return code.choose(host_features())


def _matrix_unit() -> bool:
    from lib.kernels.llvm import host_features

    return bool(host_features().get("amx-bf16"))


def _fp32(vectors: "torch.Tensor", length: int) -> "torch.Tensor":
    """`vectors` in fp32, their last dimension filled up with zeros to `length`: padded weights then count nothing."""
    import torch

    if vectors.shape[-1] != length:
        vectors = torch.nn.functional.pad(vectors, (0, length - vectors.shape[-1]))
    return vectors.float().contiguous()


@functools.lru_cache(maxsize=32)
def _tables(processor: "Processor", rows: int) -> "Compiled":
    from lib.kernels import sign_matmul_cpu_code as code
    from lib.kernels.llvm import compile_function

    return compile_function(code.write(processor, rows))


@functools.lru_cache(maxsize=8)
def _unpack(dtype: str) -> "Compiled":
    from lib.kernels import sign_unpack_cpu_code as code
    from lib.kernels.llvm import compile_function

    return compile_function(code.write(dtype))
