"""What N fine-tunes of one base take, on disk and in memory: foretold, counted, and seen from outside the process.

    memory(N) = M + N t        t: what one tenant adds; the paper's (1 + alpha N) M has t = alpha M

M is one model in 16 bits, every weight once. Of the 7B model nothing is measured here: its numbers are arithmetic on
its shapes and the layout of artifacts.
"""

import gc
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lib.delta_come.options import PAPER, CompressOptions
from lib.delta_come.plan import Plan

if TYPE_CHECKING:
    import torch

    from lib.delta_come.artifact import Artifact

_PAPER_METHOD = CompressOptions()

# Llama-2-7B: width 4096, 32 blocks, 32,000 tokens, untied head.
_WIDTH, _INNER, _BLOCKS, _TOKENS = 4096, 11008, 32, 32_000
LLAMA_2_7B_BLOCK = ((_WIDTH, _WIDTH),) * 4 + ((_INNER, _WIDTH),) * 2 + ((_WIDTH, _INNER),)


@dataclass(frozen=True)
class Footprint:
    """Bytes of a base and of what one tenant adds.

    Attributes:
        model: M, one whole model in 16 bits.
        tenant: What one fine-tune adds to the base.
    """

    model: float
    tenant: float

    def together(self, tenants: int) -> float:
        """Return the bytes of the base and so many tenants."""
        return self.model + tenants * self.tenant

    def saving(self, tenants: int) -> float:
        """Return how many times more separate models take."""
        return tenants * self.model / self.together(tenants)


@dataclass(frozen=True)
class Parts:
    """Where an artifact's bytes are.

    Attributes:
        codes: Of all singular vectors, with zero points.
        scales: fp16 scales, and values of groups of 16 bits.
        singular_values: Of all groups.
        permutations: Orders of inputs.
        embeddings: Embedding and output head, as far as the artifact carries them.
        others: Norms and biases.
        header: What the file holds beside tensors; 0 in memory.
    """

    codes: int
    scales: int
    singular_values: int
    permutations: int
    embeddings: int
    others: int
    header: int

    @property
    def matrices(self) -> int:
        """Bytes of the compressed matrices."""
        return self.codes + self.scales + self.singular_values + self.permutations


def parts(artifact: "Artifact") -> Parts:
    """Return where an artifact's bytes are; they add up to its file."""
    from lib.delta_come.checkpoint import EMBEDDING, HEAD
    from lib.delta_come.delta import split_rows

    layouts = artifact.matrices.values()
    orders = {
        place: factor.permutation_bytes
        for stored in artifact.header.matrices.values()
        for place, factor in zip(stored.permutations, stored.layout.factors, strict=True)
        if place is not None
    }
    raw = {name: layout.nbytes for name, layout in artifact.raw_layouts.items()}
    embeddings = sum(size for name, size in raw.items() if split_rows(name)[0] in (EMBEDDING, HEAD))
    counted = (
        sum(4 * layout.words for layout in layouts),
        sum(2 * layout.halves for layout in layouts),
        sum(layout.singular_bytes * layout.ranks for layout in layouts),
        sum(orders.values()),
        embeddings,
        sum(raw.values()) - embeddings,
    )
    return Parts(*counted, artifact.path.stat().st_size - sum(counted) if artifact.path else 0)


def model_bytes(model: "torch.nn.Module") -> int:
    """Return M: every weight once, in 16 bits."""
    return 2 * sum(weight.numel() for weight in model.parameters())


def held_bytes(device: str = "cpu") -> int:
    """Return the memory that this process holds, without files that are mapped; on a GPU, what torch holds there.

    What was freed is first given back to the system, as far as the system takes it.
    """
    import contextlib
    import ctypes

    import psutil
    import torch

    gc.collect()
    if torch.device(device).type == "cuda":
        return torch.cuda.memory_allocated(device)
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)  # glibc's; elsewhere freed memory may be counted
    found = psutil.Process().memory_info()
    return found.rss - getattr(found, "shared", 0)


def llama_2_7b(
    own_embeddings: bool, ratio: float = 1 / 16, plan: str = PAPER, options: CompressOptions = _PAPER_METHOD
) -> Footprint:
    """Return what Llama-2-7B and a fine-tune of it take, by arithmetic: no such model was loaded.

    Args:
        own_embeddings: Whether each tenant keeps its own embedding and output head, in 16 bits.
        ratio: alpha of the budget, which counts codes alone.
        plan: Bits and ranks.
        options: What is stored beside the codes.
    """
    rule = Plan.parse(plan)
    bits = sum(rule.resolve(m, n, ratio).true_bits(m, n, options.storage) for m, n in LLAMA_2_7B_BLOCK)
    norms, embeddings = 2 * _WIDTH * (2 * _BLOCKS + 1), 2 * 2 * _TOKENS * _WIDTH
    weights = 2 * _BLOCKS * sum(m * n for m, n in LLAMA_2_7B_BLOCK)
    return Footprint(weights + norms + embeddings, _BLOCKS * bits / 8 + norms + own_embeddings * embeddings)
