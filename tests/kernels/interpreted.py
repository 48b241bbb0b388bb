"""Run every case of the GPU's kernels in Triton's interpreter and print the errors as JSON.

A process of its own, because TRITON_INTERPRET is read when triton is imported:

    TRITON_INTERPRET=1 python -m tests.kernels.interpreted
"""

import json

import torch

from lib.kernels import layout, sign_linear, specification
from lib.kernels.sign_matmul_gpu import Tiles, sign_matmul_gpu

DTYPES = {"fp16": torch.float16, "bf16": torch.bfloat16, "fp32": torch.float32}

# outputs, inputs, rows, layer_norm, bias: one row, odd sizes, several chunks and blocks, both kernels
SHAPES = [
    (1, 1, 1, False, False),
    (40, 300, 1, False, True),
    (123, 513, 5, True, True),
    (130, 600, 16, False, False),
    (100, 520, 23, True, False),
    (70, 257, 70, False, True),
]
TILES = [  # outputs, inputs, rows, how they are cut
    (130, 1100, 4, Tiles("rows", blocks=4, parts=2, rows=8, splits=2, warps=2, stages=2)),
    (64, 1100, 11, Tiles("rows", blocks=2, parts=1, rows=16, splits=3, warps=1, stages=2)),
    (64, 1100, 20, Tiles("gemm", blocks=4, parts=1, rows=32, splits=2, warps=4, stages=2)),
    (300, 300, 150, Tiles("gemm", blocks=8, parts=1, rows=128, splits=1, warps=8, stages=2)),
]


def case(outputs: int, inputs: int, rows: int, dtype: torch.dtype):
    generator = torch.Generator().manual_seed(outputs)
    packed = torch.randint(0, 256, (outputs, -(-inputs // 8)), dtype=torch.uint8, generator=generator)
    x = torch.randn(rows, inputs, generator=generator).to(dtype)
    scales = (torch.rand(inputs, generator=generator) + 0.5, torch.randn(outputs, generator=generator))
    bias = torch.randn(outputs, generator=generator)
    return x, packed, *(vector.to(dtype) for vector in (*scales, bias))


def errors(y: torch.Tensor, x, packed, g, h, bias, layer_norm: bool) -> dict[str, float]:
    """Relative errors against float64: of the kernel, and of plain torch in the dtype of x."""
    signs = layout.signs(packed, len(g))
    widened = (None if vector is None else vector.double() for vector in (g, h, bias))
    exact = specification.sign_linear(x.double(), signs.double(), *widened, layer_norm)
    plain = specification.sign_linear(x, signs.to(x.dtype), g, h, bias, layer_norm)
    size = exact.norm().clamp(min=1e-30)
    return {
        "kernel": float((y.double() - exact).norm() / size),
        "plain": float((plain.double() - exact).norm() / size),
        "dtype": str(y.dtype),
    }


def main() -> None:
    found = {}
    for name, dtype in DTYPES.items():
        for outputs, inputs, rows, layer_norm, with_bias in SHAPES:
            x, packed, g, h, bias = case(outputs, inputs, rows, dtype)
            bias = bias if with_bias else None
            y = sign_linear(x, layout.repack(packed, inputs), g, h, bias, layer_norm)
            found[f"{name} {outputs}x{inputs} rows {rows}"] = errors(y, x, packed, g, h, bias, layer_norm)
    for outputs, inputs, rows, tiles in TILES:
        x, packed, g, h, _ = case(outputs, inputs, rows, torch.float16)
        y = sign_matmul_gpu(x, layout.to_layout(packed, inputs, "gpu"), g, h, tiles=tiles)
        found[f"{tiles.kernel} in {tiles.splits} splits, rows {rows}"] = errors(y, x, packed, g, h, None, False)
    x, packed, g, h, _ = case(60, 400, 3, torch.float16)
    y = sign_linear(x, layout.repack(packed, 400), g.float(), h.bfloat16())  # scales of other types than x
    found["mixed types"] = errors(y, x, packed, g, h.bfloat16().half(), None, False)
    x, packed, g, h, bias = case(16500, 8, 1, torch.float32)  # more outputs than one block of the normalisation
    y = sign_linear(x, layout.repack(packed, 8), g, h, bias, layer_norm=True)
    found["layer norm of 16500"] = errors(y, x, packed, g, h, bias, True)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
