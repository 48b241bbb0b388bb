"""One piece of memory for all that a tenant has in many tables.

memory = Memory(nbytes, device)
table.add(tenant, deltas, memory)        # takes what it needs, one part after the other

Hundreds of pieces of some ten kilobytes, each allocated among what is freed again, leave most of a page empty beside
each: in a process they take a tenth more than they hold. The piece is free when the last part of it is dropped.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

LINE = 64  # bytes: what parts start at multiples of


class Memory:
    """Bytes to take parts of; what is asked for beyond them is allocated by itself.

    Args:
        nbytes: How many.
        device: Where.
    """

    def __init__(self, nbytes: int, device: "torch.device | str" = "cpu") -> None:
        import torch

        self._bytes, self._taken = torch.zeros(nbytes, dtype=torch.uint8, device=device), 0

    def take(self, nbytes: int) -> "torch.Tensor":
        """Return a part of so many bytes, zeros, uint8 [nbytes]."""
        import torch

        first = self._taken
        if first + nbytes > len(self._bytes):
            return torch.zeros(nbytes, dtype=torch.uint8, device=self._bytes.device)
        self._taken = rounded(first + nbytes)
        return self._bytes[first : first + nbytes]


def rounded(nbytes: int) -> int:
    """Return the bytes up to where the next part starts."""
    return -(-nbytes // LINE) * LINE
