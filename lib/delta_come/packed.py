"""Codes of 1 to 8 bits in 32-bit words, without a bit lost between neighbours.

A code of k bits is cut into planes whose widths are powers of two, the widest first and in the lowest bits: 3 = 2 + 1,
5 = 4 + 1, 8 = 8. So every plane is read with one shift and one mask, and 3 bits take 3, not the 4 of a 4-bit cell.

A plane of width w of codes [rows, columns] is int32 [rows, ceil(columns w / 32)]: 32 / w neighbouring columns share a
word, the first in the lowest bits; what is left of a row's last word is zero. Codes are packed along the axis that a
product sums over: the inputs for V, the ranks for U. On disk a matrix is one long row, so that only its very last word
can hold unused bits.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

WORD_BITS = 32
_BYTE_BITS = 8


def plane_widths(bits: int) -> tuple[int, ...]:
    """Return the widths that a code is cut into, the lowest bits first; 3 gives (2, 1).

    Raises:
        ValueError: The width is not 1 to 8.
    """
    if not 1 <= bits <= _BYTE_BITS:
        raise ValueError(f"codes of 1 to 8 bits are packed, got {bits}")
    return tuple(width for width in (8, 4, 2, 1) if bits & width)


def word_counts(bits: int, columns: int) -> tuple[int, ...]:
    """Return the number of 32-bit words that a row of codes takes in each plane."""
    return tuple(-(-columns * width // WORD_BITS) for width in plane_widths(bits))


def pack_codes(codes: "torch.Tensor", bits: int) -> "tuple[torch.Tensor, ...]":
    """Return the planes, each int32 [rows, ceil(columns width / 32)], of codes uint8 [rows, columns].

    Raises:
        ValueError: They are no uint8 matrix, or one is 2**bits or more.
    """
    import torch

    widths = plane_widths(bits)
    if codes.dtype != torch.uint8 or codes.ndim != 2:
        raise ValueError(f"codes are a uint8 matrix [rows, columns], got {codes.dtype} {list(codes.shape)}")
    if bits < _BYTE_BITS and codes.numel() and int(codes.max()) >> bits:
        raise ValueError(f"a code is {int(codes.max())}, more than the {2**bits - 1} that {bits} bits hold")
    planes, shift = [], 0
    for width in widths:
        planes.append(_pack_plane((codes >> shift) & (2**width - 1), width))
        shift += width
    return tuple(planes)


def unpack_codes(planes: "Sequence[torch.Tensor]", bits: int, columns: int) -> "torch.Tensor":
    """Return the codes, uint8 [rows, columns], of their planes.

    Raises:
        ValueError: The planes do not belong to that width and number of columns.
    """
    counts = word_counts(bits, columns)
    _check_planes(planes, bits, columns, counts)
    codes, shift = None, 0
    for plane, width in zip(planes, plane_widths(bits), strict=True):
        part = _unpack_plane(plane, width, columns)
        codes = part if codes is None else codes.bitwise_or_(part.bitwise_left_shift_(shift))
        shift += width
    return codes


def _pack_plane(codes: "torch.Tensor", width: int) -> "torch.Tensor":
    """First into bytes, 8 / width codes each, then four bytes read as one little-endian word."""
    import torch

    rows, columns = codes.shape
    words = -(-columns * width // WORD_BITS)
    padded = torch.zeros(rows, words * (WORD_BITS // width), dtype=torch.uint8, device=codes.device)
    padded[:, :columns] = codes
    cells = padded.view(rows, words * 4, _BYTE_BITS // width)
    packed = torch.zeros(rows, words * 4, dtype=torch.uint8, device=codes.device)
    for place in range(_BYTE_BITS // width):
        packed |= cells[:, :, place] << (width * place)
    return packed.view(torch.int32)


def _unpack_plane(plane: "torch.Tensor", width: int, columns: int) -> "torch.Tensor":
    import torch

    packed = plane.contiguous().view(torch.uint8)
    if width == _BYTE_BITS:
        return packed[:, :columns].clone()
    shifts = torch.arange(0, _BYTE_BITS, width, dtype=torch.uint8, device=plane.device)
    cells = (packed[:, :, None] >> shifts).bitwise_and_(2**width - 1)
    return cells.flatten(1)[:, :columns].contiguous()


def _check_planes(planes: "Sequence[torch.Tensor]", bits: int, columns: int, counts: tuple[int, ...]) -> None:
    import torch

    found = [(plane.dtype, list(plane.shape)) for plane in planes]
    if (
        len(planes) != len(counts)
        or any(plane.dtype != torch.int32 or plane.ndim != 2 for plane in planes)
        or tuple(plane.shape[1] for plane in planes) != counts
        or len({len(plane) for plane in planes}) > 1
    ):
        raise ValueError(
            f"{columns} codes of {bits} bits a row are packed as int32 planes [rows, {' and '.join(map(str, counts))}]"
            f", got {found}"
        )
