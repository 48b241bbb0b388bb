"""What stands before and after the product with ±1 weights on a GPU, as two small kernels.

    before   x ⊙ g, in the dtype of x; fp32 as three bf16 parts that add up to it (8 + 8 + 8 bits of its 24)
    after    z = h ⊙ Σ_s acc[s];  y = (z − mean z) / √(var z + ε) + b   or   y = z + b

Three bf16 parts make fp32 activations exact to 2⁻²⁴ in the tensor cores, which have no fp32 product: ±1 times a part
is exact, the sums are fp32. Mean and variance over the outputs are Chan's combination of the blocks' (fp32, two passes
in a block), so a large mean costs no digits. Bytes: the sums once (twice to normalise), 4·splits·rows·out.
"""

# ruff: noqa: ANN001, ANN201, ANN202  (what a kernel takes are Triton's values, which have no Python type)

import triton
import triton.language as tl


@triton.jit
def scale_kernel(x, input_scale, y, rows, inputs, PARTS: tl.constexpr, BLOCK: tl.constexpr):
    """y [PARTS, rows, in] = x [rows, in] ⊙ g; with PARTS = 3 each part is what the parts before leave, in bf16."""
    row, k = tl.program_id(0).to(tl.int64), tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    g = tl.load(input_scale + k, mask=k < inputs, other=0.0).to(tl.float32)
    left = tl.load(x + row * inputs + k, mask=k < inputs, other=0.0).to(tl.float32) * g
    for part in tl.static_range(PARTS):
        rounded = left.to(y.dtype.element_ty)
        tl.store(y + (part * rows + row) * inputs + k, rounded, mask=k < inputs)
        left -= rounded.to(tl.float32)


@triton.jit
def _sum(acc, output_scale, row, output, rows, outputs, splits):
    """z = h ⊙ Σ_s acc[s], fp32, for one row and a block of outputs."""
    mask = output < outputs
    z = tl.zeros_like(output).to(tl.float32)
    for split in range(splits):
        z += tl.load(acc + (split * rows + row) * outputs + output, mask=mask, other=0.0)
    return z * tl.load(output_scale + output, mask=mask, other=0.0).to(tl.float32)


@triton.jit
def combine_kernel(
    acc, output_scale, bias, y, rows, outputs, splits, eps,
    LAYER_NORM: tl.constexpr, BIAS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """y [rows, out] from acc [splits, rows, out] fp32. Grid (rows, 1) if LAYER_NORM, (rows, out / BLOCK) else."""
    row, first = tl.program_id(0).to(tl.int64), tl.program_id(1) * BLOCK
    mean, rstd, last = 0.0, 1.0, tl.minimum(first + BLOCK, outputs)
    if LAYER_NORM:
        last, squares = outputs, 0.0
        for start in range(0, outputs, BLOCK):
            output = start + tl.arange(0, BLOCK)
            z = _sum(acc, output_scale, row, output, rows, outputs, splits)
            before, count = start * 1.0, tl.minimum(outputs - start, BLOCK) * 1.0
            block_mean = tl.sum(z, 0) / count
            away = tl.where(output < outputs, z - block_mean, 0.0)
            delta = block_mean - mean
            mean += delta * count / (before + count)
            squares += tl.sum(away * away, 0) + delta * delta * before * count / (before + count)
        rstd = tl.rsqrt(squares / outputs + eps)
    for start in range(first, last, BLOCK):
        output = start + tl.arange(0, BLOCK)
        z = (_sum(acc, output_scale, row, output, rows, outputs, splits) - mean) * rstd
        if BIAS:
            z += tl.load(bias + output, mask=output < outputs, other=0.0).to(tl.float32)
        tl.store(y + row * outputs + output, z.to(y.dtype.element_ty), mask=output < outputs)
