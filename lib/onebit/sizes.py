"""What a OneBit model weighs: average bits (App. A.7), Table 3, and the bytes of any Llama-shaped model.

Two denominators are in use, and they differ in the third digit: the paper divides by the parameters that the quantised
layer has (m n signs and m + n values), `average_bits`; a reader who asks what became of each original weight divides
by m n, `bits_per_weight`. A GB is 10^9 bytes, as in the paper.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from lib.onebit.packing import packed_bytes

SCALE_BITS = 16  # a number of g or h, and everything that is not quantised, in fp16

Shape = tuple[int, int]


def average_bits(shapes: Iterable[Shape]) -> float:
    """Return the paper's average bit-width: sum of (m n + 16 (m + n)) over sum of (m n + m + n), App. A.7."""
    shapes = list(shapes)
    bits = sum(m * n + SCALE_BITS * (m + n) for m, n in shapes)
    return bits / sum(m * n + m + n for m, n in shapes)


def bits_per_weight(shapes: Iterable[Shape]) -> float:
    """Return stored bits per original weight: sum of (m n + 16 (m + n)) over sum of m n."""
    shapes = list(shapes)
    return sum(m * n + SCALE_BITS * (m + n) for m, n in shapes) / sum(m * n for m, n in shapes)


def layer_bytes(shape: Shape) -> int:
    """Return the bytes of a stored layer: whole bytes of signs a row, two fp16 vectors."""
    m, n = shape
    return m * packed_bytes(n) + (m + n) * SCALE_BITS // 8


@dataclass(frozen=True)
class Architecture:
    """The shape of a Llama-like model.

    Attributes:
        name: What it is called.
        hidden: Width of the residual stream.
        intermediate: Width of the feed-forward layer.
        blocks: Number of transformer blocks.
        key_value: Outputs of k and v; equal to `hidden` without grouped queries.
        vocabulary: Number of tokens.
        tied: Whether the output head is the embedding.
    """

    name: str
    hidden: int
    intermediate: int
    blocks: int
    key_value: int
    vocabulary: int
    tied: bool = False

    @classmethod
    def from_config(cls, name: str, config: Mapping[str, Any]) -> "Architecture":
        """Return the shape that a config.json of a Llama-like model describes."""
        heads = config["num_attention_heads"]
        width = config.get("head_dim") or config["hidden_size"] // heads
        return cls(
            name=name,
            hidden=config["hidden_size"],
            intermediate=config["intermediate_size"],
            blocks=config["num_hidden_layers"],
            key_value=(config.get("num_key_value_heads") or heads) * width,
            vocabulary=config["vocab_size"],
            tied=config.get("tie_word_embeddings", False),
        )

    @property
    def linear_shapes(self) -> list[Shape]:
        """Shapes (m, n) of all quantised matrices: q, k, v, o, gate, up, down of every block."""
        d, f, kv = self.hidden, self.intermediate, self.key_value
        return [(d, d), (kv, d), (kv, d), (d, d), (f, d), (f, d), (d, f)] * self.blocks

    @property
    def linear_weights(self) -> int:
        """Number of weights that become signs."""
        return sum(m * n for m, n in self.linear_shapes)

    @property
    def other_weights(self) -> int:
        """Number of weights that stay fp16: embedding, output head unless tied, two norms a block and the last one."""
        tables = 1 if self.tied else 2
        return tables * self.vocabulary * self.hidden + (2 * self.blocks + 1) * self.hidden

    @property
    def weights(self) -> int:
        """Number of weights of the original model."""
        return self.linear_weights + self.other_weights

    @property
    def fp16_bytes(self) -> int:
        """Size of the original model in fp16."""
        return 2 * self.weights

    @property
    def onebit_parts(self) -> dict[str, int]:
        """Bytes of the OneBit model by what they hold: packed signs, fp16 vectors, fp16 for all the rest."""
        signs = sum(m * packed_bytes(n) for m, n in self.linear_shapes)
        vectors = sum((m + n) * SCALE_BITS // 8 for m, n in self.linear_shapes)
        return {"signs": signs, "value vectors": vectors, "embedding, head, norms": 2 * self.other_weights}

    @property
    def onebit_bytes(self) -> int:
        """Size of the OneBit model."""
        return sum(self.onebit_parts.values())

    @property
    def reduction(self) -> float:
        """Share of the fp16 size that is saved, in percent."""
        return 100 * (1 - self.onebit_bytes / self.fp16_bytes)

    @property
    def bits_per_parameter(self) -> float:
        """Bits of the whole file, embedding and head included, per weight of the original model."""
        return 8 * self.onebit_bytes / self.weights


@dataclass(frozen=True)
class Table3Row:
    """A row of the paper's Table 3 as printed: sizes in GB, the reduction in percent."""

    architecture: Architecture
    fp16_gb: float
    onebit_gb: float
    reduction: float


# The architectures are those of Touvron et al. 2023 (arXiv 2302.13971, table 2, and the released configurations).
TABLE_3: tuple[Table3Row, ...] = (
    Table3Row(Architecture("LLaMA-7B", 4096, 11008, 32, 4096, 32000), 13.5, 1.3, 90.4),
    Table3Row(Architecture("LLaMA-13B", 5120, 13824, 40, 5120, 32000), 26.0, 2.2, 91.5),
    Table3Row(Architecture("LLaMA-30B", 6656, 17920, 60, 6656, 32000), 65.1, 4.9, 92.5),
    Table3Row(Architecture("LLaMA-65B", 8192, 22016, 80, 8192, 32000), 130.6, 9.2, 93.4),
)
