"""Tiny Llama-class models, trained here: teachers of known origin, for whatever needs a whole model on a laptop.

    loaded = load_teacher(TEACHERS["narrow"])          # trained on first use, then kept in the artifact store
    corpus = teacher_corpus(TEACHERS["narrow"])        # the text it was trained on, and the text that was held out

A recipe holds all that decides the result: the same recipe on the same machine gives the same weights bit for bit. An
interrupted training goes on where it was. Weights are stored in fp32, in the hub's format, with their tokenizer.
"""

import hashlib
import json
import shutil
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib import artifacts, corpora
from lib.checkout import Checkout
from lib.models.errors import ModelError
from lib.models.loading import LoadedModel, load
from lib.models.quiet import quiet_transformers

if TYPE_CHECKING:
    from transformers import LlamaForCausalLM

HEAD_SIZE = 32
CONTEXT = 512  # positions; they are rotary, so more of them cost nothing
PROGRESS = "training.json"


@dataclass(frozen=True)
class TinyRecipe:
    """How a tiny teacher is built and trained.

    Attributes:
        width: Size of the hidden state; a multiple of 32, the size of a head.
        blocks: Number of Transformer blocks.
        inner: Size of the gated feed-forward layer.
        steps: Optimiser steps; it sees steps * batch * length tokens.
        vocabulary: Number of tokens of its byte-level BPE.
        packages: Whose docstrings it reads; None: all of `corpora.PACKAGES`.
        length: Tokens in a sequence.
        batch: Sequences in a step.
        learning_rate: Peak, after a linear warm-up; a cosine takes it down to a tenth.
        warmup: Steps of the warm-up.
        weight_decay: AdamW's, on matrices only.
        seed: Of the first weights and of the order of the text.
        bf16: Products in bfloat16 (autocast), weights and optimiser in fp32; None: where the processor has
            instructions for it (1.5 to 1.8 times as fast; without them slower). Two processors of which one has them
            train two teachers, each under its own hash.
    """

    width: int
    blocks: int
    inner: int
    steps: int
    vocabulary: int = 2048
    packages: tuple[str, ...] | None = None
    length: int = 128
    batch: int = 16
    learning_rate: float = 3e-3
    warmup: int = 200
    weight_decay: float = 0.01
    seed: int = 0
    bf16: bool | None = None

    def __post_init__(self) -> None:
        if self.width % HEAD_SIZE:
            raise ModelError(f"a tiny teacher's width is a multiple of {HEAD_SIZE}, got {self.width}")
        if not 1 < self.length <= CONTEXT:
            raise ModelError(f"a sequence has 2 to {CONTEXT} tokens, got {self.length}")

    @property
    def tokens(self) -> int:
        """Number of tokens it is trained on."""
        return self.steps * self.batch * self.length


# "mini" is trained in seconds, for exploring. The ladder of three is trained so long that two bits a weight hurt, and
# "slim" is the dense model that takes the bytes of a one-bit "medium".
TEACHERS: dict[str, TinyRecipe] = {
    "mini": TinyRecipe(
        width=64,
        blocks=2,
        inner=176,
        steps=500,
        vocabulary=512,
        packages=corpora.SMALL,
        length=64,
        learning_rate=5e-3,
        warmup=30,
        bf16=False,
    ),
    "slim": TinyRecipe(width=96, blocks=3, inner=264, steps=6000),
    "narrow": TinyRecipe(width=128, blocks=4, inner=352, steps=6000),
    "medium": TinyRecipe(width=192, blocks=5, inner=528, steps=6000, learning_rate=2.5e-3),
    "wide": TinyRecipe(width=256, blocks=6, inner=704, steps=6000, learning_rate=2e-3),
}


def teacher_corpus(recipe: TinyRecipe, checkout: Checkout = Checkout()) -> "corpora.Corpus":
    """Return the text of a teacher: what it reads, and what is held out from it."""
    return corpora.load(packages=recipe.packages, checkout=checkout)


def load_teacher(recipe: TinyRecipe, checkout: Checkout = Checkout()) -> LoadedModel:
    """Return a teacher, trained on first use; see `teacher_folder`."""
    return load(teacher_folder(recipe, checkout), checkout=checkout)


def teacher_folder(recipe: TinyRecipe, checkout: Checkout = Checkout()) -> Path:
    """Return a teacher's folder in the hub's format, trained on first use (README says how long that takes).

    Beside the weights lies `training.json` with its losses and its perplexity on the validation text.
    """
    recipe = replace(recipe, bf16=_has_bf16() if recipe.bf16 is None else recipe.bf16)
    corpus = teacher_corpus(recipe, checkout)
    content = {"version": 1, "corpus": corpus.manifest.sha256} | asdict(recipe)
    content["packages"] = recipe.packages and sorted(recipe.packages)
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    unfinished = artifacts.artifacts_folder(checkout) / f".teacher-{digest[:12]}.unfinished"

    def make(folder: Path) -> None:
        unfinished.mkdir(parents=True, exist_ok=True)
        _train_into(folder, recipe, corpus, unfinished / "state.safetensors", checkout)

    folder = artifacts.store("teacher", content, make, checkout)
    shutil.rmtree(unfinished, ignore_errors=True)
    return folder


def build_tiny(recipe: TinyRecipe) -> "LlamaForCausalLM":
    """Return the untrained model of a recipe: rotary positions, gated feed-forward, tied embedding, no biases.

    Its first weights are drawn from the recipe's seed; the caller's random state is left as it was.
    """
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    heads = recipe.width // HEAD_SIZE
    config = LlamaConfig(
        vocab_size=recipe.vocabulary,
        hidden_size=recipe.width,
        intermediate_size=recipe.inner,
        num_hidden_layers=recipe.blocks,
        num_attention_heads=heads,
        num_key_value_heads=heads,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
        bos_token_id=0,
        eos_token_id=0,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        return LlamaForCausalLM(config)


def _has_bf16() -> bool:
    import torch

    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16"))


def _train_into(folder: Path, recipe: TinyRecipe, corpus: "corpora.Corpus", state: Path, checkout: Checkout) -> None:
    from lib.models.pretraining import pretrain
    from lib.models.quality import measure_quality

    tokenizer = corpora.load_tokenizer(corpora.tokenizer_folder(corpus, recipe.vocabulary, checkout))
    needed = recipe.steps * recipe.batch
    blocks = corpora.token_blocks(corpus.train, tokenizer, recipe.length, at_most=needed)
    model = build_tiny(recipe)
    losses = pretrain(model, blocks, recipe, state)
    with quiet_transformers():
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    held_out = corpora.token_blocks(corpus.validation, tokenizer, recipe.length, at_most=256)
    report: dict[str, Any] = {
        "tokens": recipe.tokens,
        "distinct_tokens": blocks.numel(),
        "loss": losses,
        "validation": asdict(measure_quality(model, held_out)),
    }
    (folder / PROGRESS).write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
