"""What is in an artifact, and what it costs: for `info`, for the summary after a compression, and for records."""

from collections import Counter
from dataclasses import dataclass
from math import prod

from lib.delta_come.artifact import Artifact
from lib.delta_come.tenants import tenant_bytes

_WEIGHT_BYTES = 2  # what a ratio is against: 16 bits a weight


@dataclass(frozen=True)
class Summary:
    """Sizes of an artifact, in bytes.

    Attributes:
        plan: The rule of bits and ranks.
        nominal: The ratio that was asked for; it counts codes alone.
        matrices: Number of compressed matrices.
        zero: How many of them have a delta of zero.
        plans: How many matrices got which plan, the most frequent first.
        file: The file; 0 where it is in memory alone.
        packed: Codes, scales, zero points, singular values and permutations.
        raw: Tensors that are stored as they are.
        dense: The compressed matrices at 16 bits a weight.
        model: The whole fine-tuned model at 16 bits a weight; 0: unknown.
        resident: A tenant in memory, with its own embedding where the artifact carries one.
        resident_shared: A tenant in memory that shares the base's embedding.
    """

    plan: str
    nominal: float
    matrices: int
    zero: int
    plans: tuple[tuple[str, int], ...]
    file: int
    packed: int
    raw: int
    dense: int
    model: int
    resident: int
    resident_shared: int

    @property
    def true_ratio(self) -> float:
        """Packed bytes over those of the same matrices at 16 bits a weight."""
        return self.packed / self.dense if self.dense else 0.0

    @property
    def file_ratio(self) -> float:
        """Bytes of the file over those of the whole model at 16 bits a weight; 0: unknown."""
        return self.file / self.model if self.model else 0.0

    def lines(self) -> list[str]:
        """Return the summary as lines of text."""
        most = "; ".join(f"{plan} ({count})" for plan, count in self.plans[:4])
        lines = [
            f"plan {self.plan}, ratio {_one_in(self.nominal)} by codes alone",
            f"{self.matrices} matrices" + (f", {self.zero} unchanged" if self.zero else "") + f": {most}",
            f"packed deltas   {self.packed:>13,} bytes, {_one_in(self.true_ratio)} of 16 bits, with all scales",
            f"stored as is    {self.raw:>13,} bytes (norms, biases, embeddings that changed)",
        ]
        if self.file:
            whole = f", {_one_in(self.file_ratio)} of the 16-bit model" if self.model else ""
            lines.append(f"file            {self.file:>13,} bytes{whole}")
        lines.append(
            f"a tenant takes  {self.resident:>13,} bytes in memory, {self.resident_shared:,} with the base's embedding"
        )
        return lines


def summarise(artifact: Artifact) -> Summary:
    """Return the sizes of an artifact, from its header alone."""
    layouts = artifact.matrices
    raw = sum(layout.nbytes for layout in artifact.raw_layouts.values())
    return Summary(
        plan=artifact.header.plan,
        nominal=artifact.header.ratio,
        matrices=len(layouts),
        zero=sum(not layout.groups for layout in layouts.values()),
        plans=tuple(Counter(layout.plan for layout in layouts.values()).most_common()),
        file=artifact.path.stat().st_size if artifact.path else 0,
        packed=tenant_bytes(artifact) - raw,
        raw=raw,
        dense=_WEIGHT_BYTES * sum(prod(layout.shape) for layout in layouts.values()),
        model=_WEIGHT_BYTES * artifact.header.weights,
        resident=tenant_bytes(artifact),
        resident_shared=tenant_bytes(artifact, "base"),
    )


def _one_in(ratio: float) -> str:
    return f"1/{1 / ratio:.4g}" if ratio else "0"
