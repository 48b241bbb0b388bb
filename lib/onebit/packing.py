"""Eight signs to a byte.

The layout, for a sign matrix [m, n]: uint8 [m, ceil(n / 8)], row by row; eight neighbouring inputs share a byte, the
least significant bit first; bit 0 means +1 and bit 1 means -1, as in the sign bit of a floating-point number, so that
multiplying by a weight is flipping a sign bit. Four bytes read as one little-endian 32-bit word keep the same order.
Where n is no multiple of 8, a row's last byte is filled with zero bits.

Same bit order and meaning as the official code (there int8, and n must be a multiple of 8).
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def pack_signs(weight: "torch.Tensor") -> "torch.Tensor":
    """Return the packed signs, uint8 [m, ceil(n / 8)], of a matrix [m, n]; zero packs as +1.

    Raises:
        ValueError: It is no matrix.
    """
    import torch

    if weight.ndim != 2:
        raise ValueError(f"signs are packed from a matrix [outputs, inputs], got shape {tuple(weight.shape)}")
    m, n = weight.shape
    negative = torch.zeros(m, packed_bytes(n) * 8, dtype=torch.uint8, device=weight.device)
    negative[:, :n] = weight < 0
    octets = negative.view(m, -1, 8)
    packed = octets[:, :, 0].clone()
    for bit in range(1, 8):  # eight passes over whole planes; one multiply-and-sum would need eight times the memory
        packed |= octets[:, :, bit] << bit
    return packed


def unpack_signs(packed: "torch.Tensor", columns: int) -> "torch.Tensor":
    """Return the signs, int8 [m, columns], -1 or +1.

    Raises:
        ValueError: The bytes don't belong to that number of columns, or are not uint8.
    """
    import torch

    if packed.dtype != torch.uint8 or packed.ndim != 2 or packed.shape[1] != packed_bytes(columns):
        raise ValueError(
            f"{columns} signs a row are packed as uint8 [m, {packed_bytes(columns)}], "
            f"got {packed.dtype} {list(packed.shape)}"
        )
    shifts = torch.arange(8, dtype=torch.uint8, device=packed.device)
    bits = ((packed[:, :, None] >> shifts) & 1).view(len(packed), -1)[:, :columns]
    return 1 - 2 * bits.to(torch.int8)


def packed_bytes(columns: int) -> int:
    """Return the bytes that a row of signs takes."""
    return -(-columns // 8)
