"""Tiny untrained models of several families, over single characters.

The families differ in what a tool that reads checkpoints must cope with: grouped keys and values, a head of its own,
biases, another configuration class.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lib.models.errors import ModelError

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

END = "<|end|>"  # ends an answer, and fills up shorter sequences
_CHARACTERS = "\n" + "".join(map(chr, range(32, 127)))
_CONTEXT = 128
# With the usual 10,000 and 0.02 models of this size need several times the steps: most rotations are too slow to tell
# neighbours apart in so short a text, and the first blocks add next to nothing to the embedding.
_ROPE_THETA = 100.0
_FIRST_WEIGHTS = 0.08


@dataclass(frozen=True)
class TinyShape:
    """The size and family of a tiny model.

    Attributes:
        family: "llama", "mistral" or "qwen2" (which has biases on q, k and v).
        width: Size of the hidden state.
        blocks: Number of Transformer blocks.
        inner: Size of the gated feed-forward layer.
        heads: Attention heads; they divide the width into even parts.
        key_heads: Heads of keys and values; they divide `heads`.
        tied: Whether the head is the embedding.
        biases: Biases on all projections of attention and feed-forward (family "llama" only).
    """

    family: str = "llama"
    width: int = 64
    blocks: int = 2
    inner: int = 176
    heads: int = 4
    key_heads: int = 4
    tied: bool = True
    biases: bool = False

    def __post_init__(self) -> None:
        if self.family not in ("llama", "mistral", "qwen2"):
            raise ModelError(f"there is no family {self.family!r} of tiny models; there are llama, mistral, qwen2")
        if self.width % (2 * self.heads) or self.heads % self.key_heads:
            raise ModelError(
                f"{self.heads} heads must divide the width {self.width} into even parts, "
                f"and {self.key_heads} key heads must divide the heads"
            )
        if self.biases and self.family != "llama":
            raise ModelError(f"biases can be chosen for the family llama only, not for {self.family}")


SHAPES: dict[str, TinyShape] = {
    "llama": TinyShape(),
    "wide": TinyShape(width=128, inner=352),
    "grouped": TinyShape(key_heads=2, tied=False),
    "biased": TinyShape(biases=True),
    "mistral": TinyShape("mistral", key_heads=2, tied=False),
    "qwen2": TinyShape("qwen2", key_heads=2),
}


def build_shape(shape: TinyShape, seed: int) -> "PreTrainedModel":
    """Return an untrained model, its weights drawn from the seed; the caller's random state is left as it was."""
    import torch
    from transformers import AutoModelForCausalLM

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return AutoModelForCausalLM.from_config(_config(shape))


def character_tokenizer() -> "PreTrainedTokenizerBase":
    """Return the tokenizer of the tiny models: one token a printable ASCII sign, a line break, and the end."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    vocabulary = {sign: number for number, sign in enumerate([END, *_CHARACTERS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    tokenizer.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=END, pad_token=END, clean_up_tokenization_spaces=False
    )


def _config(shape: TinyShape) -> "PretrainedConfig":
    from transformers import LlamaConfig, MistralConfig, Qwen2Config

    settings = {
        "vocab_size": len(_CHARACTERS) + 1,
        "hidden_size": shape.width,
        "intermediate_size": shape.inner,
        "num_hidden_layers": shape.blocks,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.key_heads,
        "max_position_embeddings": _CONTEXT,
        "rope_parameters": {"rope_type": "default", "rope_theta": _ROPE_THETA},
        "initializer_range": _FIRST_WEIGHTS,
        "tie_word_embeddings": shape.tied,
        "bos_token_id": 0,
        "eos_token_id": 0,
        "pad_token_id": 0,
    }
    if shape.family == "llama":
        return LlamaConfig(attention_bias=shape.biases, mlp_bias=shape.biases, **settings)
    if shape.family == "mistral":
        return MistralConfig(sliding_window=None, **settings)
    return Qwen2Config(**settings)
