"""The product with ±1 weights on a GPU: choose tiles by the shape, launch, combine.

Up to 16 rows one kernel does everything and reads the weights once; more rows go to the tiled product, after a pass
that multiplies x by g. Where one launch has too few programs for the GPU, the inputs are split over more of them, and a
second kernel adds the parts up; the same kernel does LayerNorm, which needs whole rows. Nothing is tuned at run time.
"""

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lib.kernels.layout import interpreted

if TYPE_CHECKING:
    import torch

MOST_ROWS = 16  # of the kernel for few rows


@dataclass(frozen=True)
class Tiles:
    """How a product is cut into programs.

    Attributes:
        kernel: "rows" for few rows, "gemm" for many.
        blocks: Blocks of 16 outputs a program.
        parts: Parts of the inputs that a program's warps take side by side ("rows" only).
        rows: Rows a program.
        splits: Parts of the inputs over programs.
        warps: Warps a program.
        stages: Depth of the pipeline from memory.
    """

    kernel: str
    blocks: int
    parts: int
    rows: int
    splits: int
    warps: int
    stages: int


def choose_tiles(rows: int, blocks: int, chunks: int, processors: int = 132, shared_kilobytes: int = 227) -> Tiles:
    """Return the tiles for a product.

    Args:
        rows: Rows of x.
        blocks: Blocks of 16 outputs.
        chunks: Chunks of 256 inputs.
        processors: Multiprocessors of the GPU (132: an H100).
        shared_kilobytes: Shared memory that one program may have.
    """
    if rows <= MOST_ROWS:
        columns = 8 if rows <= 8 else 16
        # Every program reads all of x: with 16 rows that is more than its weights, so wide programs and splits then.
        wide = 4 if columns == 16 else next((size for size in (4, 2) if blocks >= 2 * size * processors), 1)
        parts = min(4 if wide == 4 else 8, _power_of_two_from(chunks))
        splits = _splits(-(-blocks // wide), -(-chunks // parts), 2 * processors)
        return Tiles("rows", wide, parts, columns, splits, parts, 3 if parts <= 4 else 2)
    columns = next(size for size in (32, 64, 128) if rows <= size or size == 128)
    wide = 8 if columns == 128 else 4  # as much as fits the registers without spilling
    splits = _splits(-(-blocks // wide) * -(-rows // columns), chunks, processors)
    return Tiles("gemm", wide, 1, columns, splits, wide, 3 if shared_kilobytes > 220 else 2)


def sign_matmul_gpu(
    x: "torch.Tensor",
    words: "torch.Tensor",
    input_scale: "torch.Tensor",
    output_scale: "torch.Tensor",
    bias: "torch.Tensor | None" = None,
    layer_norm: bool = False,
    eps: float = 1e-5,
    tiles: Tiles | None = None,
) -> "torch.Tensor":
    """Return ((x ⊙ g) Sᵀ) ⊙ h, normalised over the outputs if `layer_norm`, plus b, [rows, out] in the dtype of x.

    Args:
        x: Activations [rows, in]; float32, float16 or bfloat16.
        words: Weights in the GPU's order (`layout.py`).
        input_scale: g [in], any floating type.
        output_scale: h [out].
        bias: b [out].
        layer_norm: Normalise each row over the outputs before b is added.
        eps: ε of the normalisation.
        tiles: How to cut the work; chosen by the shape by default.
    """
    import torch

    rows, outputs = x.shape[0], len(output_scale)
    y = torch.empty(rows, outputs, dtype=x.dtype, device=x.device)
    if rows == 0:
        return y
    x, scale, parts = x.contiguous(), input_scale.contiguous(), 3 if x.dtype == torch.float32 else 1
    tiles = tiles or choose_tiles(rows * parts, *words.shape[:2], *_limits(x.device))
    if parts > 1 or tiles.kernel == "gemm":
        x, scale = _scaled(x, scale, parts), None
    final = parts * tiles.splits == 1 and not layer_norm
    into = y if final else torch.empty(tiles.splits, x.shape[0], outputs, dtype=torch.float32, device=x.device)
    _multiply(x, words.contiguous(), scale, output_scale, bias, into, tiles, final)
    if not final:
        _combine(into, output_scale, bias, y, parts * tiles.splits, layer_norm, eps)
    return y


def _scaled(x: "torch.Tensor", input_scale: "torch.Tensor", parts: int) -> "torch.Tensor":
    """x ⊙ g, [parts · rows, in]."""
    import torch

    from lib.kernels.combine_triton import scale_kernel

    rows, inputs = x.shape
    y = torch.empty(parts * rows, inputs, dtype=torch.bfloat16 if parts > 1 else x.dtype, device=x.device)
    scale_kernel[(rows, -(-inputs // 2048))](x, input_scale, y, rows, inputs, PARTS=parts, BLOCK=2048)
    return y


def _multiply(
    x: "torch.Tensor",
    words: "torch.Tensor",
    input_scale: "torch.Tensor | None",
    output_scale: "torch.Tensor",
    bias: "torch.Tensor | None",
    y: "torch.Tensor",
    tiles: Tiles,
    final: bool,
) -> None:
    import torch

    from lib.kernels import sign_matmul_triton as kernels

    (rows, inputs), (blocks, chunks) = x.shape, words.shape[:2]
    sizes = (rows, len(output_scale), inputs, chunks, -(-chunks // tiles.splits))
    options = {
        "FINAL": final,
        "BIAS": final and bias is not None,
        "BF16": x.dtype == torch.bfloat16,
        "INTERPRET": interpreted(),
        "num_warps": tiles.warps,
        "num_stages": tiles.stages,
    }
    output_programs = -(-blocks // tiles.blocks)
    if tiles.kernel == "gemm":
        kernels.gemm_kernel[(output_programs, -(-rows // tiles.rows), tiles.splits)](
            x, words, output_scale, bias, y, *sizes, BLOCKS=tiles.blocks, ROWS=tiles.rows, **options
        )
        return
    options["SCALE"] = input_scale is not None
    kernels.rows_kernel[(output_programs, tiles.splits)](
        x, words, input_scale, output_scale, bias, y, *sizes,
        BLOCKS=tiles.blocks, PARTS=tiles.parts, ROWS=tiles.rows, **options,
    )  # fmt: skip


def _combine(
    acc: "torch.Tensor",
    output_scale: "torch.Tensor",
    bias: "torch.Tensor | None",
    y: "torch.Tensor",
    splits: int,
    layer_norm: bool,
    eps: float,
) -> None:
    from lib.kernels.combine_triton import combine_kernel

    rows, outputs = y.shape
    block = min(_power_of_two_from(outputs), 16384 if layer_norm else 1024)
    combine_kernel[(rows, 1 if layer_norm else -(-outputs // block))](
        acc, output_scale, bias, y, rows, outputs, splits, eps,
        LAYER_NORM=layer_norm, BIAS=bias is not None, BLOCK=block, num_warps=16 if block > 4096 else 4,
    )  # fmt: skip


@functools.lru_cache(maxsize=16)
def _limits(device: "torch.device") -> tuple[int, int]:
    """Multiprocessors, and kilobytes of shared memory a program."""
    import torch

    if device.type != "cuda":
        return 1, 227  # the interpreter: a split more is only more work
    properties = torch.cuda.get_device_properties(device)
    return properties.multi_processor_count, properties.shared_memory_per_block_optin // 1024


def _splits(programs: int, steps: int, wanted: int) -> int:
    """Parts of the inputs so that there are about `wanted` programs, each with at least two of the `steps`."""
    return max(1, min(round(wanted / programs), steps // 2))


def _power_of_two_from(size: int) -> int:
    return 1 << max(size - 1, 0).bit_length()
