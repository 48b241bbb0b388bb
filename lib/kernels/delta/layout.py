"""Where a code lies in memory on the GPU and on the CPU: low-rank factors as rows and columns of short digits.

A code of b bits is written in digits: base 4 on a GPU (1, 2, 4 or 8 digits), base 2 on a CPU (b digits). Digit j of
rank ρ becomes a direction of its own, κ = ρ·P + j with P digits a code: a row of V and a column of U. So each kernel
knows one width only, every mix of widths is the same loop, and what a width costs is what it weighs:

    v[κ] = Σ_k digit_V[κ, k] x[k]      r[ρ] = s[ρ] Σ_j baseʲ v[ρP + j]      r'[κ] = baseʲ r[ρ]
    y[m] = Σ_κ digit_U[m, κ] r'[κ]

Scales and zeros go with digit rows of V (the zero with one digit alone) and with 128 directions of U of one group. A
scale and zero that all rows of U share are the rank's: s[ρ] takes the scale, and Σ_ρ zero[ρ] r[ρ] is taken off y. fp16
factors become codes of 16 bits (`fixed_point.py`).

* GPU, words int16 in blocks of 512 bytes, 16 bytes a thread of a warp; eight 2-bit fields a word, and field f of all
  the words is the 16×16 operand of one tensor-core instruction, in the registers where the instruction wants it.
  V: `[granules, chunks, 2, 256]`, a block is 16 rows × 128 inputs. U: `[⌈m / 64⌉, granules, 256]`, a block is 64
  outputs × 32 directions. A granule is 32 directions of one group; 3 bits take 4 here. Scales and zeros of a block's
  rows are in the order of `by_thread`.
* CPU, words int32, one lane of a 512-bit register each, 32 columns of one row a word: `[⌈rows / 16⌉, words, 16]`.

Padding is with zero digits; `nbytes` counts it. Both layouts are exact: `restore` gives the canonical planes back.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

GRANULE, CHUNK, TILE_OUTPUTS, LANES = 32, 128, 64, 16
# Where field (q, s) starts in a 16-bit word; q numbers the row blocks of U, or the pairs of steps of V, s the steps.
# Two neighbouring fields are masked out of one shifted word, as bits 4-5 and 2-3 of a bfloat16 (`delta_triton`).
FIELDS = ((4, 2), (8, 6), (12, 10), (14, 0))


def digits_a_code(bits: int, layout: str) -> int:
    """Return P, the digits of a code in a layout."""
    if layout == "cpu":
        return bits
    return {1: 1, 2: 1, 3: 2, 4: 2, 16: 8}.get(bits, 4)


def split_digits(codes: "torch.Tensor", bits: int, layout: str) -> "torch.Tensor":
    """Return the digits uint8 [rows, columns, P] of codes [rows, columns] of any integer type, the lowest first."""
    import torch

    width, count = _width(layout), digits_a_code(bits, layout)
    shifts = torch.arange(0, width * count, width, dtype=codes.dtype, device=codes.device)
    return ((codes[:, :, None] >> shifts) & (2**width - 1)).to(torch.uint8)


def join_digits(digits: "torch.Tensor", layout: str) -> "torch.Tensor":
    """Return the codes [rows, columns] of digits [rows, columns, P]: uint8, or int32 where they have 16 bits."""
    import torch

    width, dtype = _width(layout), torch.uint8 if _width(layout) * digits.shape[2] <= 8 else torch.int32
    shifts = torch.arange(0, width * digits.shape[2], width, dtype=dtype, device=digits.device)
    return (digits.to(dtype) << shifts).sum(2, dtype=dtype)


def pad(matrix: "torch.Tensor", rows: int, columns: int) -> "torch.Tensor":
    """Return a matrix filled up with zeros to multiples of `rows` and `columns`."""
    import torch

    return torch.nn.functional.pad(matrix, (0, -matrix.shape[1] % columns, 0, -matrix.shape[0] % rows))


def gpu_v_words(digits: "torch.Tensor") -> "torch.Tensor":
    """Return int16 [granules, chunks, 2, 256] of digits uint8 [directions, inputs], multiples of 32 and 128."""
    granules, chunks = digits.shape[0] // GRANULE, digits.shape[1] // CHUNK
    # [granule, block, row half, row, chunk, q, s, column pair, half, column] -> fields last, a thread is (row, pair)
    view = digits.reshape(granules, 2, 2, 8, chunks, 4, 2, 4, 2, 2).permute(0, 4, 1, 3, 7, 8, 2, 9, 5, 6)
    return _words(view).reshape(granules, chunks, 2, 256)


def gpu_v_digits(words: "torch.Tensor") -> "torch.Tensor":
    """Return digits uint8 [directions, inputs] of `gpu_v_words`."""
    granules, chunks = words.shape[:2]
    fields = _fields(words.reshape(granules, chunks, 2, 8, 4, 2, 2, 2))
    return fields.permute(0, 2, 6, 3, 1, 8, 9, 4, 5, 7).reshape(granules * GRANULE, chunks * CHUNK)


def gpu_u_words(digits: "torch.Tensor") -> "torch.Tensor":
    """Return int16 [⌈m / 64⌉, granules, 256] of digits uint8 [m, directions], multiples of 64 and 32."""
    tiles, granules = digits.shape[0] // TILE_OUTPUTS, digits.shape[1] // GRANULE
    # [tile, q, row half, row, granule, s, column pair, half, column]
    view = digits.reshape(tiles, 4, 2, 8, granules, 2, 4, 2, 2).permute(0, 4, 3, 6, 7, 2, 8, 1, 5)
    return _words(view).reshape(tiles, granules, 256)


def gpu_u_digits(words: "torch.Tensor") -> "torch.Tensor":
    """Return digits uint8 [m, directions] of `gpu_u_words`."""
    tiles, granules = words.shape[:2]
    fields = _fields(words.reshape(tiles, granules, 8, 4, 2, 2, 2))
    return fields.permute(0, 7, 5, 2, 1, 8, 3, 4, 6).reshape(tiles * TILE_OUTPUTS, granules * GRANULE)


def by_thread(values: "torch.Tensor") -> "torch.Tensor":
    """Scales or zeros [..., rows] in the order [row in 8, block of 8 rows]: a thread's own rows are then neighbours."""
    return values.unflatten(-1, (-1, 8)).transpose(-1, -2).flatten(-2).contiguous()


def from_thread(values: "torch.Tensor") -> "torch.Tensor":
    """The inverse of `by_thread`."""
    return values.unflatten(-1, (8, -1)).transpose(-1, -2).flatten(-2).contiguous()


def cpu_words(bits: "torch.Tensor") -> "torch.Tensor":
    """Return int32 [rows / 16, words, 16] of bits uint8 [rows, columns], multiples of 16 and 32."""
    import torch

    packed = torch.zeros(bits.shape[0], bits.shape[1] // 8, dtype=torch.uint8)
    for place in range(8):
        packed |= bits[:, place::8] << place
    return packed.view(torch.int32).unflatten(0, (-1, LANES)).transpose(1, 2).contiguous()


def cpu_bits(words: "torch.Tensor") -> "torch.Tensor":
    """Return bits uint8 [rows, columns] of `cpu_words`."""
    import torch

    # A clone, as what has one column counts as contiguous whatever its stride.
    packed = words.transpose(1, 2).flatten(0, 1).clone(memory_format=torch.contiguous_format).view(torch.uint8)
    return ((packed[:, :, None] >> torch.arange(8, dtype=torch.uint8)) & 1).flatten(1)


def _width(layout: str) -> int:
    return 1 if layout == "cpu" else 2


def _words(fields: "torch.Tensor") -> "torch.Tensor":
    """Fields [..., 4, 2] as int16 [...]; bit 15 is the sign of a two's complement."""
    import torch

    words = torch.zeros(fields.shape[:-2], dtype=torch.int32, device=fields.device)
    for q, places in enumerate(FIELDS):
        for s, place in enumerate(places):
            words |= fields[..., q, s].int() << place
    return words.to(torch.int16)


def _fields(words: "torch.Tensor") -> "torch.Tensor":
    """Words [...] as fields uint8 [..., 4, 2]."""
    import torch

    places = torch.tensor(FIELDS, dtype=torch.int32, device=words.device)
    return ((words.int()[..., None, None] >> places) & 3).to(torch.uint8)
