"""The delta products of a step on a GPU: buffers, grids, three launches.

A tile of tokens is gathered once for all programs that read it; then shrink and expand run over all widths, fused
weights and tenants. Nothing is tuned at run time, and nothing waits for the device, so a CUDA graph can hold it.
"""

from typing import TYPE_CHECKING

from lib.kernels.delta.layout import CHUNK, GRANULE, TILE_OUTPUTS
from lib.kernels.layout import interpreted

if TYPE_CHECKING:
    import torch


EXPAND_WARPS = 2  # a warp takes 128 directions: the paper's plan has 10 such chunks at 4096 × 4096


def add_delta_gpu(
    x: "torch.Tensor",
    y: "torch.Tensor",
    tile_tenants: "torch.Tensor",
    tile_tokens: "torch.Tensor",
    records: "torch.Tensor",
    orders: "torch.Tensor",
    anchor: "torch.Tensor",
    granules: int,
    most_outputs: int,
) -> None:
    """Add every token's delta product to y [tokens, out], in place.

    Args:
        x: Activations [tokens, in].
        y: The base products [tokens, out].
        tile_tenants: int32 [tiles], see `routing.Routing`.
        tile_tokens: int32 [tiles, tokens a tile].
        records: int64 [tenants, slices, fields], see `table.DeltaTable`.
        orders: int64 [tenants, orders].
        anchor: Where addresses are counted from.
        granules: The most that a slice has.
        most_outputs: The most that a slice has.
    """
    import torch

    from lib.kernels.delta import delta_triton as kernels

    (tiles, tokens), slices, order_count = tile_tokens.shape, records.shape[1], orders.shape[1]
    if 0 in (tiles, granules):
        return
    x_parts, r_parts = parts_of(x.dtype, tokens)
    chunks = -(-x.shape[1] // CHUNK)

    def empty(dtype: torch.dtype, *shape: int) -> torch.Tensor:
        return torch.empty(shape, dtype=dtype, device=x.device)

    xs = empty(torch.bfloat16, tiles, order_count, chunks, x_parts * tokens, CHUNK)
    x_sums = empty(torch.float32, tiles, order_count, chunks, 2, x_parts * tokens)
    rs = empty(torch.bfloat16, tiles, slices, granules, r_parts * tokens, GRANULE)
    r_sums = empty(torch.float32, tiles, slices, granules, 2, r_parts * tokens)
    places = [anchor.view(dtype) for dtype in (torch.int16, torch.float16, torch.uint8, torch.int32, torch.float32)]
    kernels.gather_kernel[(chunks, tiles * order_count)](
        x, xs, x_sums, tile_tenants, tile_tokens, orders, places[3], x.shape[1], chunks, order_count,
        TOKENS=tokens, PARTS=x_parts, num_warps=1 if tokens * x_parts <= 8 else 4,
    )  # fmt: skip
    common = {"TOKENS": tokens, "R_PARTS": r_parts, "INTERPRET": interpreted()}
    warps = shrink_warps(tokens * x_parts)
    kernels.shrink_kernel[(granules, slices, tiles)](
        xs, x_sums, rs, r_sums, tile_tenants, tile_tokens, records, *places, chunks, slices, order_count, granules,
        X_PARTS=x_parts, WARPS=warps, STAGES=stages_of(tokens * x_parts), num_warps=warps, **common,
    )  # fmt: skip
    kernels.expand_kernel[(-(-most_outputs // TILE_OUTPUTS), slices, tiles)](
        rs, r_sums, y, tile_tenants, tile_tokens, records, *places[:4], slices, granules, y.shape[1],
        STAGES=stages_of(tokens * r_parts), WARPS=EXPAND_WARPS, num_warps=EXPAND_WARPS, **common,
    )  # fmt: skip


def parts_of(dtype: "torch.dtype", tokens: int) -> tuple[int, int]:
    """Return how many bf16 parts an activation and an element of r are cut into (fp32: three and one that is zero)."""
    import torch

    if dtype == torch.float32:
        return 4, 4
    return (1 if dtype == torch.bfloat16 and tokens > 4 else 2), 2  # the tensor cores take at least 8 columns


def shrink_warps(columns: int) -> int:
    """Return the warps of a program of the shrink kernel for so many columns."""
    return 8 if columns <= 32 else 4


def stages_of(columns: int) -> int:
    """Return the depth of the pipeline from memory: wide tiles of tokens take the shared memory of the third stage."""
    return 3 if columns <= 32 else 2
