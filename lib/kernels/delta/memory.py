"""One piece of memory for all that a tenant has in many tables.

memory = Memory(nbytes, device)
table.add(tenant, deltas, memory)        # takes what it needs, one part after the other

Hundreds of pieces of some ten kilobytes, each allocated among what is freed again, leave most of a page empty beside
each: in a process they take a tenth more than they hold. The piece is free when the last part of it is dropped.
"""

import functools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import torch

LINE, ALIGNMENT = 64, 16  # bytes: what parts start at multiples of, and tensors within a part


class Place(NamedTuple):
    """Where a tensor lies in a part.

    Attributes:
        name: Its name.
        dtype: Its type.
        shape: Its shape.
        first: Its first byte.
        nbytes: Its bytes.
    """

    name: str
    dtype: "torch.dtype"
    shape: tuple[int, ...]
    first: int
    nbytes: int


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


def in_one_piece(
    parts: "Sequence[Mapping[str, torch.Tensor]]", memory: Memory
) -> "tuple[torch.Tensor, tuple[tuple[Place, ...], ...]]":
    """Return copies of named tensors one after the other, uint8, and where each lies.

    Words come first in each part: on a CPU they take whole lines.
    """
    import torch

    places, end = [], 0
    for part in parts:
        own = []
        for name, tensor in sorted(part.items(), key=lambda each: "words" not in each[0]):
            own.append(Place(name, tensor.dtype, tuple(tensor.shape), end, tensor.nbytes))
            end += -(-tensor.nbytes // ALIGNMENT) * ALIGNMENT
        end = rounded(end)
        places.append(tuple(own))
    piece = memory.take(end)
    for part, own in zip(parts, places, strict=True):
        for place in own:
            piece[place.first : place.first + place.nbytes] = part[place.name].reshape(-1).view(torch.uint8)
    return piece, _first_of_equals(tuple(places))


def view(piece: "torch.Tensor", place: Place) -> "torch.Tensor":
    """Return the tensor at a place."""
    return piece[place.first : place.first + place.nbytes].view(place.dtype).view(place.shape)


@functools.lru_cache(maxsize=4096)
def _first_of_equals(places: tuple[tuple[Place, ...], ...]) -> tuple[tuple[Place, ...], ...]:
    """Equal places as one object: tenants share them, layer by layer."""
    return places
