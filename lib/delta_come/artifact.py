"""One fine-tuned model, packed: deltas, raw tensors, and what they belong to.

    artifact = in_memory(delta)        # of a CompressedDelta; `files.load(path)` opens a stored one
    artifact.matrix(name)              # one packed matrix; nothing else of a file is touched
    artifact.delta()                   # the CompressedDelta again, unpacked

Its tensors have names: of each compressed matrix `delta.NAME.codes`, `delta.NAME.halves` and
`delta.NAME.singular_values` (see `layout`), `permutation.0`, `permutation.1`, ... which matrices share, and `raw.NAME`
for what is not compressed. The rest stands in the header.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

from lib.delta_come.errors import DeltaError
from lib.delta_come.header import Header, StoredMatrix
from lib.delta_come.layout import MatrixLayout
from lib.delta_come.stored import PackedMatrix

if TYPE_CHECKING:
    import torch

    from lib.delta_come.factors import CompressedDelta

PARTS = ("codes", "halves", "singular_values")
RAW = "raw."


@dataclass(frozen=True)
class RawLayout:
    """Size of a tensor that is not compressed.

    Attributes:
        shape: Its shape.
        itemsize: Bytes a value.
    """

    shape: tuple[int, ...]
    itemsize: int

    @property
    def nbytes(self) -> int:
        """Bytes as stored."""
        return prod(self.shape) * self.itemsize


@dataclass(frozen=True)
class Artifact:
    """One fine-tuned model, packed; from a file its tensors are mapped into memory when they are asked for.

    Attributes:
        path: The file; None: it is in memory alone.
        header: What it says of itself.
        raw_layouts: Shape and bytes a value of each raw tensor, by name.
        read: Returns a tensor by its name in the file.
    """

    path: Path | None
    header: Header
    raw_layouts: dict[str, RawLayout]
    read: "Callable[[str], torch.Tensor]"

    @property
    def matrices(self) -> dict[str, MatrixLayout]:
        """Sizes of the compressed matrices by name."""
        return {name: stored.layout for name, stored in self.header.matrices.items()}

    def matrix(self, name: str) -> PackedMatrix:
        """Return one matrix.

        Raises:
            DeltaError: The artifact holds no matrix of that name.
        """
        stored = self.header.matrices.get(name)
        if stored is None:
            raise DeltaError(_unknown(name, self.header.matrices, f"{self} compresses"))
        orders = {place: self.read(f"permutation.{place}") for place in set(stored.permutations) - {None}}
        parts = (self.read(f"delta.{name}.{part}") for part in PARTS)
        return PackedMatrix(name, stored.layout, *parts, tuple(orders.get(place) for place in stored.permutations))

    def raw(self, name: str) -> "torch.Tensor":
        """Return one tensor that is not compressed.

        Raises:
            DeltaError: The artifact holds no raw tensor of that name.
        """
        if name not in self.raw_layouts:
            raise DeltaError(_unknown(name, self.raw_layouts, f"{self} holds raw"))
        return self.read(f"raw.{name}")

    def delta(self) -> "CompressedDelta":
        """Return everything, unpacked."""
        from lib.delta_come.factors import CompressedDelta

        header = self.header
        return CompressedDelta(
            {name: self.matrix(name).unpack() for name in header.matrices},
            {name: self.raw(name) for name in self.raw_layouts},
            header.plan,
            header.ratio,
            header.base_hash,
            header.finetuned_hash,
            dict(header.options),
            header.tied,
        )

    def __repr__(self) -> str:
        name = self.path.name if self.path else "in memory"
        raw, matrices = len(self.raw_layouts), len(self.header.matrices)
        return f"Artifact({name}, {matrices} matrices, {raw} raw tensors, plan {self.header.plan})"


def in_memory(delta: "CompressedDelta", base_tensors: dict[str, str] | None = None) -> Artifact:
    """Return a compressed delta as an artifact that no file holds.

    Args:
        delta: What is packed.
        base_tensors: Digests of the base's tensors (`hashes`), so that a wrong base can be told by its first tensor.
    """
    tensors, stored = named_tensors(map(PackedMatrix.pack, delta.matrices.values()))
    header = header_of(delta, base_tensors)
    tensors |= {f"{RAW}{name}": tensor for name, tensor in delta.raw.items()}
    raw = {name: RawLayout(tuple(tensor.shape), tensor.itemsize) for name, tensor in delta.raw.items()}
    return Artifact(None, replace(header, matrices=stored), raw, tensors.__getitem__)


def header_of(delta: "CompressedDelta", base_tensors: dict[str, str] | None = None) -> Header:
    """Return what a compressed delta says of itself, without its matrices."""
    return Header(
        plan=delta.plan,
        ratio=delta.ratio,
        base_hash=delta.base_hash,
        finetuned_hash=delta.finetuned_hash,
        options=dict(delta.options),
        base_tensors=dict(base_tensors or {}),
        tied=delta.tied,
    )


def named_tensors(matrices: Iterable[PackedMatrix]) -> "tuple[dict[str, torch.Tensor], dict[str, StoredMatrix]]":
    """Return all tensors under the names they have in the file, and what the header says of the matrices."""
    tensors, stored, places = {}, {}, {}
    for matrix in matrices:
        tensors |= {f"delta.{matrix.name}.{part}": getattr(matrix, part).contiguous() for part in PARTS}
        orders: list[int | None] = []
        for order in matrix.permutations:
            if order is None:
                orders.append(None)
                continue
            place = places.setdefault(order.numpy().tobytes(), len(places))
            tensors[f"permutation.{place}"] = order
            orders.append(place)
        stored[matrix.name] = StoredMatrix(matrix.layout, tuple(orders))
    return tensors, stored


def _unknown(name: str, known: Iterable[str], what: str) -> str:
    from difflib import get_close_matches

    close = get_close_matches(name, list(known), n=1)
    known = list(known)
    hint = f"; did you mean {close[0]}?" if close else f": {len(known)} tensors, such as {known[0]}" if known else ""
    return f"{what} no tensor {name!r}{hint}"
