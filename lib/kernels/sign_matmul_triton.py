"""Triton kernels for y = ((x ⊙ g) Sᵀ) ⊙ h with S = ±1 packed at one bit (OneBit, arXiv 2402.11295, Eq. 3).

    acc[n, m] = Σ_k S[n, k] (x[m, k] g[k])       fp32, in the tensor cores, S as their left operand
    y[m, n]   = acc[n, m] h[n] + b[n]            in the epilogue; or acc alone, when `combine_triton` follows

Bytes for m ≤ 16 rows: out·in/8 of weights, read once, in place of 2·out·in in 16 bits; and 2·m·(in + out). At
11008 × 4096 that is 5.6 MB in place of 90: 1.7 µs at 3.35 TB/s. At one bit decoding is the limit, not the memory:

* The words are stored (`layout.py`) so that a thread's 16-byte load holds its own part of 16 tensor-core operands:
  nothing is shuffled between the load and `mma`. Triton finds that out by itself: the layout that the dot wants,
  carried back through permute, reshape and join, is the layout of the load. A test holds it (no shuffles).
* Two weights are decoded by one shift and one LOP3, (w << s) & 0x80008000 ^ 0xBC00BC00: ±1 in fp16, no conversion.
  That is inline assembly because Triton splits 16-bit arithmetic into single elements: 1.5 instructions a weight in
  the inner loop with it, 3.1 without.
* Few rows: every warp of a program takes another part of the inputs (the batch dimension of `tl.dot`: split-K inside
  the program), so that 16 to 64 outputs are enough work for a program and a small layer still fills the GPU.
"""

# ruff: noqa: ANN001, ANN201, ANN202  (what a kernel takes are Triton's values, which have no Python type)

import triton
import triton.language as tl

_SHIFTED = " ".join(
    f"shl.b32 t, $16, {15 - step}; lop3.b32 ${step}, t, 0x80008000, MINUS_ONE, 0x6A;" for step in range(16)
)
_FP16 = tl.constexpr("{ .reg .b32 t; " + _SHIFTED.replace("MINUS_ONE", "0xBC00BC00") + " }")
_BF16 = tl.constexpr("{ .reg .b32 t; " + _SHIFTED.replace("MINUS_ONE", "0xBF80BF80") + " }")
_REGISTERS = tl.constexpr(",".join(["=&r"] * 16) + ",r")


@triton.jit
def _step(words, step: tl.constexpr, BF16: tl.constexpr):
    """±1 from bit `step` of each word, in plain Triton: for the interpreter, which knows no assembly."""
    minus_one: tl.constexpr = 0xBF80 - 0x10000 if BF16 else 0xBC00 - 0x10000
    signs = (((words << (15 - step)) & -0x8000) ^ minus_one).to(tl.int16)
    return signs.to(tl.bfloat16, bitcast=True) if BF16 else signs.to(tl.float16, bitcast=True)


@triton.jit
def _decode(words, BF16: tl.constexpr, INTERPRET: tl.constexpr):
    """Words [..., 16] as ±1 [..., 16, 2, 2, 2, 2]: the last four dimensions number the bit, its highest digit last."""
    if INTERPRET:
        s = (
            _step(words, 0, BF16), _step(words, 1, BF16), _step(words, 2, BF16), _step(words, 3, BF16),
            _step(words, 4, BF16), _step(words, 5, BF16), _step(words, 6, BF16), _step(words, 7, BF16),
            _step(words, 8, BF16), _step(words, 9, BF16), _step(words, 10, BF16), _step(words, 11, BF16),
            _step(words, 12, BF16), _step(words, 13, BF16), _step(words, 14, BF16), _step(words, 15, BF16),
        )  # fmt: skip
    elif BF16:
        t = tl.bfloat16
        s = tl.inline_asm_elementwise(
            _BF16, _REGISTERS, [words], (t, t, t, t, t, t, t, t, t, t, t, t, t, t, t, t), is_pure=True, pack=2
        )
    else:
        t = tl.float16
        s = tl.inline_asm_elementwise(
            _FP16, _REGISTERS, [words], (t, t, t, t, t, t, t, t, t, t, t, t, t, t, t, t), is_pure=True, pack=2
        )
    a, b = tl.join(tl.join(s[0], s[1]), tl.join(s[2], s[3])), tl.join(tl.join(s[4], s[5]), tl.join(s[6], s[7]))
    c, d = tl.join(tl.join(s[8], s[9]), tl.join(s[10], s[11])), tl.join(tl.join(s[12], s[13]), tl.join(s[14], s[15]))
    return tl.join(tl.join(a, b), tl.join(c, d))


@triton.jit
def _epilogue(acc, y, output_scale, bias, row, output, rows, outputs, split, FINAL: tl.constexpr, BIAS: tl.constexpr):
    """Store acc [outputs, rows]: if FINAL times h plus b as y [rows, out], else as it is in y [splits, rows, out]."""
    mask = (row[None, :] < rows) & (output[:, None] < outputs)
    place = row[None, :].to(tl.int64) * outputs + output[:, None]
    if FINAL:
        scale = tl.load(output_scale + output, mask=output < outputs, other=0.0).to(tl.float32)
        acc = acc * scale[:, None]
        if BIAS:
            acc += tl.load(bias + output, mask=output < outputs, other=0.0).to(tl.float32)[:, None]
    else:
        y += split.to(tl.int64) * rows * outputs
    tl.store(y + place, acc.to(y.dtype.element_ty), mask=mask)


@triton.jit
def rows_kernel(
    x, words, input_scale, output_scale, bias, y,
    rows, outputs, inputs, chunks, chunks_a_split,
    BLOCKS: tl.constexpr, PARTS: tl.constexpr, ROWS: tl.constexpr,
    SCALE: tl.constexpr, FINAL: tl.constexpr, BIAS: tl.constexpr, BF16: tl.constexpr, INTERPRET: tl.constexpr,
):  # fmt: skip
    """Up to ROWS (8 or 16) rows. Grid (blocks / BLOCKS, splits); a program has 16·BLOCKS outputs, PARTS its warps.

    x [rows, in], words [blocks, chunks, 256] int16, y as `_epilogue` says; a split is `chunks_a_split` chunks of 256
    inputs. x is multiplied by g here, in fp32 and rounded once, unless it was before (SCALE off).
    """
    block = tl.program_id(0) * BLOCKS + tl.arange(0, BLOCKS)
    first, row = tl.program_id(1) * chunks_a_split, tl.arange(0, ROWS)
    last = tl.minimum(first + chunks_a_split, chunks)
    acc = tl.zeros([PARTS, BLOCKS * 16, ROWS], tl.float32)
    for start in range(first, last, PARTS):
        chunk = start + tl.arange(0, PARTS)
        there = (chunk[:, None, None] < last) & (block[None, :, None] * 16 < outputs)
        place = (block[None, :, None] * chunks + chunk[:, None, None]) * 256 + tl.arange(0, 256)[None, None, :]
        w = tl.load(words + place, mask=there, other=0)
        # [part, block, row, column pair, column half, row half, column], see layout.py
        w = tl.permute(tl.reshape(w, [PARTS, BLOCKS, 8, 4, 2, 2, 2]), [0, 1, 5, 2, 3, 4, 6])
        signs = _decode(tl.reshape(w, [PARTS, BLOCKS * 16, 16]), BF16, INTERPRET)
        signs = tl.reshape(tl.permute(signs, [0, 1, 6, 5, 4, 3, 2]), [PARTS, BLOCKS * 16, 256])
        k = chunk[:, None] * 256 + tl.arange(0, 256)[None, :]
        real = (k[:, :, None] < inputs) & (row[None, None, :] < rows) & (chunk[:, None, None] < last)
        xk = tl.load(x + row[None, None, :] * inputs + k[:, :, None], mask=real, other=0.0)
        if SCALE:
            g = tl.load(input_scale + k, mask=k < inputs, other=0.0).to(tl.float32)
            xk = (xk.to(tl.float32) * g[:, :, None]).to(xk.dtype)
        # Triton 3.7 gives this operand four neighbouring inputs a thread (it sees a join), and the words are stored for
        # two: the same numbers of bits, so the inputs are only named anew within each group of 16.
        xk = tl.permute(tl.reshape(xk, [PARTS, 16, 2, 4, 2, ROWS]), [0, 1, 3, 2, 4, 5])
        xk = tl.reshape(xk, [PARTS, 256, ROWS])
        if INTERPRET:  # its dot is wrong for bfloat16
            signs, xk = signs.to(tl.float32), xk.to(tl.float32)
        acc = tl.dot(signs, xk, acc)
    output = tl.program_id(0) * BLOCKS * 16 + tl.arange(0, BLOCKS * 16)
    _epilogue(tl.sum(acc, 0), y, output_scale, bias, row, output, rows, outputs, tl.program_id(1), FINAL, BIAS)


@triton.jit
def gemm_kernel(
    x, words, output_scale, bias, y,
    rows, outputs, inputs, chunks, chunks_a_split,
    BLOCKS: tl.constexpr, ROWS: tl.constexpr,
    FINAL: tl.constexpr, BIAS: tl.constexpr, BF16: tl.constexpr, INTERPRET: tl.constexpr,
):  # fmt: skip
    """Many rows, of x ⊙ g. Grid (blocks / BLOCKS, rows / ROWS, splits); otherwise as `rows_kernel`.

    g is not multiplied here: x then goes to shared memory by asynchronous copies and from there into the tensor cores.
    """
    block = tl.program_id(0) * BLOCKS + tl.arange(0, BLOCKS)
    row = tl.program_id(1) * ROWS + tl.arange(0, ROWS)
    first = tl.program_id(2) * chunks_a_split
    acc = tl.zeros([BLOCKS * 16, ROWS], tl.float32)
    for chunk in range(first, tl.minimum(first + chunks_a_split, chunks)):
        place = (block[:, None] * chunks + chunk) * 256 + tl.arange(0, 256)[None, :]
        w = tl.load(words + place, mask=block[:, None] * 16 < outputs, other=0)
        # [block, row, column pair, column half, row half, column], see layout.py
        w = tl.permute(tl.reshape(w, [BLOCKS, 8, 4, 2, 2, 2]), [0, 4, 1, 3, 2, 5])
        signs = _decode(tl.reshape(w, [BLOCKS * 16, 16]), BF16, INTERPRET)
        signs = tl.reshape(tl.permute(signs, [0, 5, 4, 3, 2, 1]), [BLOCKS * 16, 256])
        k = chunk * 256 + tl.arange(0, 256)
        real = (k[:, None] < inputs) & (row[None, :] < rows)
        xk = tl.load(x + row[None, :].to(tl.int64) * inputs + k[:, None], mask=real, other=0.0)
        if INTERPRET:  # its dot is wrong for bfloat16
            signs, xk = signs.to(tl.float32), xk.to(tl.float32)
        acc = tl.dot(signs, xk, acc)
    output = tl.program_id(0) * BLOCKS * 16 + tl.arange(0, BLOCKS * 16)
    _epilogue(acc, y, output_scale, bias, row, output, rows, outputs, tl.program_id(2), FINAL, BIAS)
