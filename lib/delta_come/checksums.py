"""Whether the bits of an artifact are those that were written: a CRC-32 of every tensor, held in the header.

They are checked as tensors are read, one at a time, so that nothing is read for the check alone. A CRC-32 finds every
flipped bit and every burst of up to 32; it is no protection against somebody who means harm.
"""

import zlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from lib.delta_come.errors import DeltaError

if TYPE_CHECKING:
    from pathlib import Path

    import torch

DIGITS = 8  # hexadecimal, of one tensor


def checksum(data: object) -> str:
    """Return the CRC-32 of bytes, or of anything that shows its memory, as 8 hex digits."""
    return f"{zlib.crc32(data):0{DIGITS}x}"


def tensor_checksum(tensor: "torch.Tensor") -> str:
    """Return the checksum of a tensor's bytes as they are stored."""
    import torch

    return checksum(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())


def joined(tensors: "Mapping[str, torch.Tensor]") -> str:
    """Return the checksums of all tensors, in the order of their names."""
    return "".join(tensor_checksum(tensors[name]) for name in sorted(tensors))


def checked(
    path: "Path", read: "Callable[[str], torch.Tensor]", names: list[str], checksums: str
) -> "Callable[[str], torch.Tensor]":
    """Return `read` with a check of what it reads.

    Args:
        path: The file, for messages.
        read: Returns a tensor by its name.
        names: Of all tensors of the file.
        checksums: As `joined` returned them.

    Raises:
        DeltaError: At once: tensors and checksums differ in number. When a tensor is read: its bits are others.
    """
    if len(checksums) != DIGITS * len(names):
        raise DeltaError(
            f"{path} holds {len(names)} tensors, but its header has checksums of {len(checksums) // DIGITS}; "
            "copy the file again, or make it again"
        )
    places = {name: DIGITS * number for number, name in enumerate(sorted(names))}

    def read_checked(name: str) -> "torch.Tensor":
        tensor = read(name)
        expected, found = checksums[places[name] :][:DIGITS], tensor_checksum(tensor)
        if found != expected:
            raise DeltaError(
                f"{path} is damaged: {name} has the checksum {found}, its header says {expected}; copy the file again, "
                "or make it again with `python -m lib.delta_come compress`"
            )
        return tensor

    return read_checked
