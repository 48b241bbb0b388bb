"""One tenant of a served model: its packed matrices and the tensors of its own, and the memory they take.

    tenant_bytes(load("math.safetensors"))       # foretold from the header, before anything is read
    tenant = read_tenant("math", artifact, ...)
    tenant.resident_bytes                        # counted over the tensors that it holds

What an artifact does not carry is shared with the base. Norms and biases it carries are always its own. An embedding
and an output head that it carries are its own too, unless `embeddings="base"` leaves them out: a fine-tune that hardly
moved them then loses little and saves much (21 % of SmolLM2-135M's weights). Of an embedding that only grew, the new
rows alone are kept.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lib.delta_come.artifact import Artifact, in_memory
from lib.delta_come.checkpoint import EMBEDDING, HEAD
from lib.delta_come.errors import DeltaError
from lib.delta_come.product import DeltaKernel, checked_kernel

if TYPE_CHECKING:
    import torch

    from lib.delta_come.factors import CompressedDelta

    Source = Artifact | CompressedDelta | str | Path


Embeddings = Literal["own", "base"]


@dataclass(frozen=True)
class OwnTensor:
    """A tensor that a tenant has instead of the base's.

    Attributes:
        value: The tensor, or its rows from `first_row` on.
        first_row: Rows before it are the base's; 0: all rows are the tenant's own.
    """

    value: "torch.Tensor"
    first_row: int = 0


@dataclass(frozen=True)
class Tenant:
    """A fine-tuned model as far as it differs from the base, in memory.

    Attributes:
        name: What rows ask for it by.
        deltas: Its matrices as the kernel prepared them.
        own: Its own tensors by name.
        tied: Whether its output head is its embedding.
        delta_bytes: What the kernel keeps of its matrices.
    """

    name: str
    deltas: Any
    own: dict[str, OwnTensor]
    tied: bool
    delta_bytes: int

    @property
    def resident_bytes(self) -> int:
        """Bytes of all tensors that it holds."""
        return self.delta_bytes + sum(tensor.value.untyped_storage().nbytes() for tensor in self.own.values())

    def __repr__(self) -> str:
        return f"Tenant({self.name}, {len(self.own)} own tensors, {self.resident_bytes:,} bytes)"


def tenant_bytes(
    source: "Source", embeddings: Embeddings = "own", kernel: DeltaKernel | None = None, itemsize: int | None = None
) -> int:
    """Return the memory that a tenant will take, in bytes, from its artifact's header.

    Args:
        source: An artifact, its path, or a CompressedDelta.
        embeddings: "own": with the embedding and head that the artifact carries; "base": without.
        kernel: Who will compute its products; plain torch where it is None.
        itemsize: Bytes a value of the base model, in which its own tensors are held; as stored where it is None.

    Raises:
        DeltaError: The file can't be read.
    """
    artifact = as_artifact(source)
    raw = (artifact.raw_layouts[name] for name in _own_names(artifact, embeddings))
    own = sum(layout.nbytes if itemsize is None else layout.nbytes // layout.itemsize * itemsize for layout in raw)
    return own + checked_kernel(kernel).resident_bytes(artifact.header.matrices.values())


def read_tenant(
    name: str,
    source: "Source",
    kernel: DeltaKernel,
    device: "torch.device",
    dtype: "torch.dtype",
    embeddings: Embeddings = "own",
) -> Tenant:
    """Return a tenant that holds copies of all that it needs of its artifact.

    Args:
        name: What rows will ask for it by.
        source: An artifact, its path, or a CompressedDelta.
        kernel: Who prepares its matrices.
        device: Where it is held.
        dtype: Of its own tensors: that of the base model.
        embeddings: As in `tenant_bytes`.

    Raises:
        DeltaError: The file can't be read, or `embeddings` is neither "own" nor "base".
    """
    from lib.delta_come.delta import split_rows

    artifact = as_artifact(source)
    deltas = kernel.prepare(map(artifact.matrix, artifact.matrices), device)
    own = {}
    for raw in _own_names(artifact, embeddings):
        tensor, first_row = split_rows(raw)
        own[tensor] = OwnTensor(artifact.raw(raw).to(device, dtype, copy=True), first_row)
    return Tenant(name, deltas, own, artifact.header.tied, kernel.nbytes(deltas))


def as_artifact(source: "Source") -> Artifact:
    """Return an artifact as it is, open a path, pack a CompressedDelta."""
    if isinstance(source, Artifact):
        return source
    if isinstance(source, str | Path):
        from lib.delta_come.files import load

        return load(source)
    return in_memory(source)


def _own_names(artifact: Artifact, embeddings: Embeddings) -> Iterable[str]:
    from lib.delta_come.delta import split_rows

    if embeddings not in ("own", "base"):
        raise DeltaError(f"embeddings are 'own' (what the artifact carries) or 'base' (shared), got {embeddings!r}")
    return [
        name for name in artifact.raw_layouts if embeddings == "own" or split_rows(name)[0] not in (EMBEDDING, HEAD)
    ]
