"""Triton kernels for y += Σ_g U_g (s_g ⊙ (V_gᵀ x)) of many tenants at once (Delta-CoMe, arXiv 2406.08903, section 3.3).

    gather   x'[col, k] = x[token, order[k]]                       as bf16 parts, with sums over 128 inputs
    shrink   r[κ, col]  = s Σ_c scale_c (Σ_k digit x' − zero Σ_k x')          c: chunks of 128 inputs
    expand   y[m, token] += Σ_c scale_c (Σ_κ digit r' − zero Σ_ρ r)           c: chunks of 128 directions

One launch each for all widths, all fused weights and all tenants of a step; `gather` is the small pass that sorts the
tokens. A program finds its work through the tenant's row in a table of addresses, so deltas lie anywhere; addresses
are counted in units of 16 bytes from an anchor, which tells the compiler their alignment. A tile of no tenant returns
at once. No atomics: the warps of a program share the sum (the batch dimension of `tl.dot`), so results repeat exactly.

Bytes: digits once a tile of tokens (`layout.py`: 2 bits a digit), 3 bytes a scale with its zero. At 2 bits an H100's
memory delivers 58 digits a clock and multiprocessor, and its integer units do 64 operations; so decoding must cost
less than one operation a digit. It costs 0.75: (w & 0x00300030) | 0x41004100 are two digits as 8 + d in bfloat16,
(w & 0x000C000C) | 0x42004200 the two beside them as 32 + d, and a shift serves both. What the 8 and 32 add is taken off
by starting the sum at −Σ offset·x, and Σ x serves the zeros. Activations are sums of bf16 parts (fp16 two, fp32 three),
r of two (fp32: three), so that one decoding serves every type.
"""

# ruff: noqa: ANN001, ANN201, ANN202  (what a kernel takes are Triton's values, which have no Python type)

import triton
import triton.language as tl

# Fields of a row of the table of records, one row a tenant and fused weight; the first nine are addresses.
FIELDS = ("v_words", "v_scales", "v_zeros", "u_words", "u_scales", "u_zeros", "factors", "granule_info", "chunk_starts",
          "granules", "u_chunks", "outputs", "offset")  # fmt: skip
RECORD = tl.constexpr(len(FIELDS))

# Pairs of fields (s = 0 at bits 4-5, s = 1 at bits 2-3 after the shift), see layout.FIELDS.
_STEPS = (("", "$8", "$8"), ("shr.b32 t, $8, 4;", "t", "t"), ("shr.b32 t, $8, 8;", "t", "t"),
          ("shr.b32 t, $8, 10; shl.b32 u, $8, 2;", "t", "u"))  # fmt: skip
_ASSEMBLY = tl.constexpr(
    "{ .reg .b32 t, u; "
    + " ".join(
        f"{shift} lop3.b32 ${2 * q}, {low}, 0x00300030, 0x41004100, 0xEA; "
        f"lop3.b32 ${2 * q + 1}, {high}, 0x000C000C, 0x42004200, 0xEA;"
        for q, (shift, low, high) in enumerate(_STEPS)
    )
    + " }"
)
_REGISTERS = tl.constexpr(",".join(["=&r"] * 8) + ",r")


@triton.jit
def _field(words, right: tl.constexpr, left: tl.constexpr, s: tl.constexpr):
    """One field of each word as 8 + d (s = 0) or 32 + d, in plain Triton: for the interpreter."""
    shifted = ((words.to(tl.int32) & 0xFFFF) >> right) << left
    bits = (shifted & 0x0030) | 0x4100 if s == 0 else (shifted & 0x000C) | 0x4200
    return bits.to(tl.int16).to(tl.bfloat16, bitcast=True)


@triton.jit
def _decode(words, INTERPRET: tl.constexpr):
    """Words [...] as digits [..., 2, 2, 2]: the dimensions are s and the two digits of q, the higher last."""
    if INTERPRET:
        f = (
            _field(words, 0, 0, 0), _field(words, 0, 0, 1), _field(words, 4, 0, 0), _field(words, 4, 0, 1),
            _field(words, 8, 0, 0), _field(words, 8, 0, 1), _field(words, 10, 0, 0), _field(words, 0, 2, 1),
        )  # fmt: skip
    else:
        t = tl.bfloat16
        f = tl.inline_asm_elementwise(_ASSEMBLY, _REGISTERS, [words], (t, t, t, t, t, t, t, t), is_pure=True, pack=2)
    return tl.join(tl.join(tl.join(f[0], f[1]), tl.join(f[2], f[3])), tl.join(tl.join(f[4], f[5]), tl.join(f[6], f[7])))


@triton.jit
def _offset(k):
    """What decoding adds to the digit of direction or input k: 8 in the even steps of 16, 32 in the odd."""
    return tl.where((k // 16) % 2 == 0, 8.0, 32.0)


@triton.jit
def gather_kernel(
    x, xs, sums, tile_tenants, tile_tokens, orders, ints,
    inputs, chunks, order_count,
    TOKENS: tl.constexpr, PARTS: tl.constexpr,
):  # fmt: skip
    """Tiles of x in each order of its tenant, split in bf16 parts. Grid (chunks, tiles · orders).

    x [tokens, in]; xs [tiles, orders, chunks, PARTS · TOKENS, 128] bf16, part by part; sums [tiles, orders, chunks, 2,
    PARTS · TOKENS] fp32: Σ offset·x and Σ x over a chunk. orders [tenants, orders]: address of an int32 permutation,
    0 for the natural order, 1 (within the anchor) for none.
    """
    chunk, tile = tl.program_id(0), tl.program_id(1) // order_count
    tenant = tl.load(tile_tenants + tile).to(tl.int64)
    if tenant < 0:
        return
    order = tl.load(orders + tenant * order_count + tl.program_id(1) % order_count)
    if order == 1:
        return
    kk, slot = tl.arange(0, 128), tl.arange(0, TOKENS)
    k = chunk * 128 + kk
    source = k
    if order != 0:
        source = tl.load(ints + order * 4 + k, mask=k < inputs, other=0)
    token = tl.load(tile_tokens + tile * TOKENS + slot)
    place = token[:, None].to(tl.int64) * inputs + source[None, :]
    left = tl.load(x + place, mask=(token[:, None] >= 0) & (k[None, :] < inputs), other=0.0).to(tl.float32)
    block = tl.program_id(1).to(tl.int64) * chunks + chunk
    for part in tl.static_range(PARTS):
        rounded = left.to(tl.bfloat16)
        value = rounded.to(tl.float32)
        column = part * TOKENS + slot
        there = token >= 0
        tl.store(xs + (block * PARTS * TOKENS + column[:, None]) * 128 + kk[None, :], rounded, mask=there[:, None])
        into = sums + block * 2 * PARTS * TOKENS + column
        tl.store(into, tl.sum(value * _offset(kk)[None, :], 1), mask=there)
        tl.store(into + PARTS * TOKENS, tl.sum(value, 1), mask=there)
        left -= value


@triton.jit
def _spread(r, DIGITS: tl.constexpr, TOKENS: tl.constexpr):
    """Each rank's sum over its digits, in all of its DIGITS rows; r [32, TOKENS]."""
    ranks = tl.sum(tl.reshape(r, [32 // DIGITS, DIGITS, TOKENS]), 1)
    return tl.reshape(tl.broadcast_to(ranks[:, None, :], [32 // DIGITS, DIGITS, TOKENS]), [32, TOKENS])


@triton.jit
def shrink_kernel(
    xs, x_sums, rs, r_sums, tile_tenants, tile_tokens, records, words, halves, bytes_, ints, floats,
    chunks, slices, order_count, granules_a_slice,
    TOKENS: tl.constexpr, X_PARTS: tl.constexpr, R_PARTS: tl.constexpr, WARPS: tl.constexpr,
    STAGES: tl.constexpr, INTERPRET: tl.constexpr,
):  # fmt: skip
    """r' of one granule (32 directions) for one tile of tokens. Grid (granules, slices, tiles); a warp takes a chunk.

    xs and x_sums as `gather_kernel` leaves them; rs [tiles, slices, granules, R_PARTS · TOKENS, 32] bf16; r_sums
    [tiles, slices, granules, 2, R_PARTS · TOKENS] fp32: Σ offset·r' + Σ zero·r (the zeros of ranks) and Σ r over the
    granule. A granule's factors are 32 factors and 32 zeros. `words` to `floats` are the anchor as int16, fp16, uint8,
    int32 and fp32.
    """
    granule, slice_, tile = tl.program_id(0), tl.program_id(1), tl.program_id(2)
    tenant = tl.load(tile_tenants + tile).to(tl.int64)
    if tenant < 0:
        return
    record = records + (tenant * slices + slice_) * RECORD
    if granule >= tl.load(record + 9):
        return
    COLUMNS: tl.constexpr = X_PARTS * TOKENS
    info = tl.load(ints + tl.load(record + 7) * 4 + granule)
    digits = info & 0xFF
    v_words = words + tl.load(record) * 8
    v_scales, v_zeros = halves + tl.load(record + 1) * 8, bytes_ + tl.load(record + 2) * 16
    factors = floats + tl.load(record + 6) * 4 + granule * 64 + tl.arange(0, 32)
    factor, rank_zero = tl.load(factors), tl.load(factors + 32)
    column, k, row = tl.arange(0, COLUMNS), tl.arange(0, 128), tl.arange(0, 32)
    token = tl.load(tile_tokens + tile * TOKENS + column % TOKENS)
    x_block = (tile * order_count + (info >> 8)).to(tl.int64) * chunks
    total = tl.zeros([WARPS, 32, COLUMNS], tl.float32)
    for first in tl.range(0, chunks, WARPS, num_stages=STAGES):
        chunk = first + tl.arange(0, WARPS)
        there = chunk < chunks
        place = (granule * chunks + chunk).to(tl.int64)
        w = tl.load(v_words + place[:, None] * 512 + tl.arange(0, 512)[None, :], mask=there[:, None], other=0)
        # [warp, block, row, column pair, half, row half, column], see layout.py
        w = tl.permute(tl.reshape(w, [WARPS, 2, 8, 4, 2, 2, 2]), [0, 1, 5, 2, 3, 4, 6])
        d = _decode(tl.reshape(w, [WARPS, 32, 16]), INTERPRET)
        d = tl.reshape(tl.permute(d, [0, 1, 5, 4, 3, 2]), [WARPS, 32, 128])
        block = x_block + chunk
        real = there[:, None] & (token >= 0)[None, :]
        source = xs + (block[:, None, None] * COLUMNS + column[None, None, :]) * 128 + k[None, :, None]
        b = tl.load(source, mask=real[:, None, :], other=0.0)
        sums = x_sums + block[:, None] * (2 * COLUMNS) + column[None, :]
        minus_offset = -tl.load(sums, mask=real, other=0.0)
        x_sum = tl.load(sums + COLUMNS, mask=real, other=0.0)
        # a thread's four rows are neighbours there, see layout.py
        at = place[:, None] * 32 + row[None, :]
        scale = tl.reshape(tl.load(v_scales + at, mask=there[:, None], other=0.0), [WARPS, 8, 4])
        scale = tl.reshape(tl.permute(scale, [0, 2, 1]), [WARPS, 32]).to(tl.float32)
        zero = tl.reshape(tl.load(v_zeros + at, mask=there[:, None], other=0), [WARPS, 8, 4])
        zero = tl.reshape(tl.permute(zero, [0, 2, 1]), [WARPS, 32]).to(tl.float32)
        if INTERPRET:  # its dot is wrong for bfloat16
            d, b = d.to(tl.float32), b.to(tl.float32)
        acc = tl.broadcast_to(minus_offset[:, None, :], [WARPS, 32, COLUMNS])
        acc = tl.dot(d, b, acc, input_precision="ieee")
        total += scale[:, :, None] * (acc - zero[:, :, None] * x_sum[:, None, :])
    r = tl.sum(tl.sum(total, 0).reshape([32, X_PARTS, TOKENS]), 1) * factor[:, None]
    if digits == 2:
        r = _spread(r, 2, TOKENS)
    if digits == 4:
        r = _spread(r, 4, TOKENS)
    if digits == 8:
        r = _spread(r, 8, TOKENS)
    digit = row % digits
    left = r * tl.exp2(2.0 * digit.to(tl.float32))[:, None]
    out = ((tile * slices + slice_) * granules_a_slice + granule).to(tl.int64) * (R_PARTS * TOKENS)
    slot = tl.arange(0, TOKENS)
    for part in tl.static_range(R_PARTS):
        rounded = left.to(tl.bfloat16)
        value = rounded.to(tl.float32)
        into = part * TOKENS + slot
        tl.store(rs + (out + into[None, :]) * 32 + row[:, None], rounded)
        tl.store(r_sums + out * 2 + into, tl.sum(value * (_offset(row) + rank_zero)[:, None], 0))
        tl.store(r_sums + out * 2 + R_PARTS * TOKENS + into, tl.sum(tl.where(digit[:, None] == 0, value, 0.0), 0))
        left -= value


@triton.jit
def expand_kernel(
    rs, r_sums, y, tile_tenants, tile_tokens, records, words, halves, bytes_, ints,
    slices, granules_a_slice, all_outputs,
    TOKENS: tl.constexpr, R_PARTS: tl.constexpr, WARPS: tl.constexpr, STAGES: tl.constexpr, INTERPRET: tl.constexpr,
):  # fmt: skip
    """64 outputs of one slice for one tile of tokens, added to y. Grid (⌈m / 64⌉, slices, tiles).

    y [tokens, out] holds the base product; a warp takes a chunk: up to four granules with one scale an output.
    """
    part, slice_, tile = tl.program_id(0), tl.program_id(1), tl.program_id(2)
    tenant = tl.load(tile_tenants + tile).to(tl.int64)
    if tenant < 0:
        return
    record = records + (tenant * slices + slice_) * RECORD
    granules, outputs = tl.load(record + 9), tl.load(record + 11)
    if (granules == 0) | (part * 64 >= outputs):
        return
    COLUMNS: tl.constexpr = R_PARTS * TOKENS
    u_words = words + tl.load(record + 3) * 8
    u_scales, u_zeros = halves + tl.load(record + 4) * 8, bytes_ + tl.load(record + 5) * 16
    starts, chunks = ints + tl.load(record + 8) * 4, tl.load(record + 10)
    column, k, row = tl.arange(0, COLUMNS), tl.arange(0, 32), tl.arange(0, 64)
    token = tl.load(tile_tokens + tile * TOKENS + column % TOKENS)
    r_block = ((tile * slices + slice_) * granules_a_slice).to(tl.int64)
    total = tl.zeros([WARPS, 64, COLUMNS], tl.float32)
    for first in tl.range(0, chunks, WARPS, num_stages=STAGES):
        chunk = first + tl.arange(0, WARPS)
        start = tl.load(starts + chunk, mask=chunk < chunks, other=0)
        end = tl.load(starts + chunk + 1, mask=chunk < chunks, other=0)
        minus_offset, r_sum = tl.zeros([WARPS, COLUMNS], tl.float32), tl.zeros([WARPS, COLUMNS], tl.float32)
        for i in tl.static_range(4):
            real = (start + i < end)[:, None] & (token >= 0)[None, :]
            sums = r_sums + (r_block + start + i)[:, None] * (2 * COLUMNS) + column[None, :]
            minus_offset -= tl.load(sums, mask=real, other=0.0)
            r_sum += tl.load(sums + COLUMNS, mask=real, other=0.0)
        acc = tl.broadcast_to(minus_offset[:, None, :], [WARPS, 64, COLUMNS])
        for i in tl.static_range(4):
            granule = start + i
            there = granule < end
            w = tl.load(
                u_words + (part * granules + granule)[:, None] * 256 + tl.arange(0, 256)[None, :],
                mask=there[:, None],
                other=0,
            )
            # [warp, row, column pair, half, row half, column], see layout.py
            w = tl.permute(tl.reshape(w, [WARPS, 8, 4, 2, 2, 2]), [0, 4, 1, 2, 3, 5])
            d = _decode(tl.reshape(w, [WARPS, 16, 16]), INTERPRET)  # [warp, 16 rows, 16 columns, s, q low, q high]
            d = tl.reshape(tl.permute(d, [0, 5, 4, 1, 3, 2]), [WARPS, 64, 32])
            real = there[:, None, None] & (token >= 0)[None, None, :]
            block = r_block + granule
            source = rs + (block[:, None, None] * COLUMNS + column[None, None, :]) * 32 + k[None, :, None]
            b = tl.load(source, mask=real, other=0.0)
            if INTERPRET:  # its dot is wrong for bfloat16
                d, b = d.to(tl.float32), b.to(tl.float32)
            acc = tl.dot(d, b, acc, input_precision="ieee")
        # a thread's eight rows are neighbours there, see layout.py
        at = (part * chunks + chunk)[:, None] * 64 + tl.arange(0, 64)[None, :]
        scale = tl.reshape(tl.load(u_scales + at, mask=(chunk < chunks)[:, None], other=0.0), [WARPS, 8, 8])
        scale = tl.reshape(tl.permute(scale, [0, 2, 1]), [WARPS, 64]).to(tl.float32)
        zero = tl.reshape(tl.load(u_zeros + at, mask=(chunk < chunks)[:, None], other=0), [WARPS, 8, 8])
        zero = tl.reshape(tl.permute(zero, [0, 2, 1]), [WARPS, 64]).to(tl.float32)
        total += scale[:, :, None] * (acc - zero[:, :, None] * r_sum[:, None, :])
    delta = tl.sum(tl.sum(total, 0).reshape([64, R_PARTS, TOKENS]), 1)
    output = part * 64 + row
    token = tl.load(tile_tokens + tile * TOKENS + tl.arange(0, TOKENS))
    place = token[None, :].to(tl.int64) * all_outputs + tl.load(record + 12) + output[:, None]
    mask = (token >= 0)[None, :] & (output < outputs)[:, None]
    base = tl.load(y + place, mask=mask, other=0.0).to(tl.float32)
    tl.store(y + place, (base + delta).to(y.dtype.element_ty), mask=mask)
