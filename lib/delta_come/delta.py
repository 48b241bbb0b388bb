"""What a fine-tune changed: the difference of two checkpoints, one matrix at a time, in fp32.

    pair = take_pair("base/folder", "finetuned/folder")     # or hub names, loaded models, models of transformers
    pair.delta("model.layers.0.self_attn.q_proj.weight")    # W_finetuned - W_base, float32 [m, n]
    pair.raw()                                              # what the method leaves out, where it differs

The method is for the projections of every block. Everything else (norms, biases, embeddings, an untied head) is taken
from the fine-tune as it is, and left out where it equals the base. Of an embedding that only grew, the new rows are
kept, under a name such as "model.embed_tokens.weight[32000:]".
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lib.delta_come.checkpoint import EMBEDDING, HEAD, Checkpoint, Source, read_checkpoint
from lib.delta_come.errors import DeltaError
from lib.models import PROJECTION_TYPES, is_projection

if TYPE_CHECKING:
    import torch

_ROWS = re.compile(r"(.+)\[(\d+):\]")
# What has to agree for two checkpoints to be of one family and size.
_SAME = ("model_type", "num_hidden_layers", "hidden_size", "num_attention_heads", "num_key_value_heads")


@dataclass(frozen=True)
class Pair:
    """A base and a fine-tune of it; see `take_pair`."""

    base: Checkpoint
    finetuned: Checkpoint

    @property
    def projections(self) -> tuple[str, ...]:
        """Names of the matrices that the method compresses: by block, then q, k, v, o, gate, up, down."""
        return tuple(sorted(filter(is_projection, self.base.weights), key=_place))

    def delta(self, name: str) -> "torch.Tensor":
        """Return W_finetuned - W_base of one projection, float32 [m, n]; all zeros where nothing changed.

        Raises:
            DeltaError: One of the two holds NaN or infinity.
        """
        # In fp32 first: a difference of bf16 numbers is rounded once more where they are far apart.
        return self.finetuned.finite(name).float() - self.base.finite(name).float()

    def deltas(self) -> "Iterator[tuple[str, torch.Tensor]]":
        """Yield name and delta of every projection, one at a time."""
        for name in self.projections:
            yield name, self.delta(name)

    def check_finite(self) -> None:
        """Read every tensor of both sides once.

        Raises:
            DeltaError: One of them holds NaN or infinity; the message names it.
        """
        for side in (self.base, self.finetuned):
            for name in side.weights:
                side.finite(name)

    def raw(self, shared_embeddings: bool = False) -> "dict[str, torch.Tensor]":
        """Return the fine-tune's other tensors where they differ from the base, in the fine-tune's dtype.

        Args:
            shared_embeddings: Leave out the rows of embedding and head that the base has.
        """
        found: dict[str, torch.Tensor] = {}
        for name in sorted(set(self.finetuned.weights) - set(self.projections)):
            theirs, ours = self.finetuned.finite(name), self.base.weights.get(name)
            if shared_embeddings and ours is not None and name in (EMBEDDING, HEAD):
                theirs = with_rows_of(ours, theirs)
            found |= _changed(name, theirs, ours)
        return found


def take_pair(base: Source, finetuned: Source) -> Pair:
    """Return a base and its fine-tune, checked against each other; no delta is computed yet.

    Args:
        base: A packaged model's name, a hub name, a folder in the hub's format, or a model. From folders, tensors are
            read one at a time.
        finetuned: As `base`; it may have more rows in its embedding, and biases that the base has not.

    Raises:
        DeltaError: They are of different families, sizes or tokenizers, or a tensor is missing or of another shape.
        ModelError: One of them cannot be read.
    """
    pair = Pair(read_checkpoint(base), read_checkpoint(finetuned))
    _check_configs(pair)
    _check_tensors(pair)
    _check_tokenizers(pair)
    return pair


def split_rows(name: str) -> tuple[str, int]:
    """Return the tensor's name and the first row that a raw tensor stands for: ("a", 32000) for "a[32000:]"."""
    match = _ROWS.fullmatch(name)
    return (match[1], int(match[2])) if match else (name, 0)


def grown(base: "torch.Tensor | None", name: str, raw: "torch.Tensor") -> "torch.Tensor":
    """Return the fine-tune's tensor from the base's and a raw one of that name.

    Args:
        base: The base's tensor; needed where the raw tensor holds new rows only.
        name: The raw tensor's name, such as "model.embed_tokens.weight[32000:]".
        raw: The raw tensor.
    """
    import torch

    _, rows = split_rows(name)
    return torch.cat([base[:rows].to(raw.dtype), raw]) if rows else raw


def with_rows_of(base: "torch.Tensor", finetuned: "torch.Tensor") -> "torch.Tensor":
    """Return a fine-tune's embedding with the base's rows in place of its own; new rows stay."""
    mixed = finetuned.clone()
    mixed[: len(base)] = base[: len(finetuned)].to(finetuned.dtype)
    return mixed


def _check_configs(pair: Pair) -> None:
    for key in _SAME:
        ours, theirs = pair.base.config.get(key), pair.finetuned.config.get(key)
        if ours != theirs:
            raise DeltaError(
                f"{pair.finetuned.label} is no fine-tune of {pair.base.label}: {key} is {theirs!r} there and {ours!r} "
                "in the base; give the base that it was trained from"
            )


def _check_tensors(pair: Pair) -> None:
    ours, theirs = pair.base.weights, pair.finetuned.weights
    missing = next((name for name in ours if name not in theirs and name != HEAD), None)
    new = next((name for name in theirs if is_projection(name) and name not in ours), None)
    if missing or new:
        lacks = pair.finetuned.label if missing else pair.base.label
        raise DeltaError(
            f"{lacks} has no tensor {missing or new}, which the other checkpoint has; are they one family?"
        )
    if not pair.projections:
        raise DeltaError(
            f"{pair.base.label} holds no projections: expected weights named like "
            "model.layers.0.self_attn.q_proj.weight, as Llama, Mistral and Qwen name them"
        )
    for name in pair.projections:
        if ours[name].shape != theirs[name].shape:
            raise DeltaError(
                f"{name} is {_size(ours[name])} in {pair.base.label} and {_size(theirs[name])} in "
                f"{pair.finetuned.label}; a delta needs equal shapes: give the base that it was trained from"
            )


def _check_tokenizers(pair: Pair) -> None:
    """The fine-tune may add tokens; those of the base must keep their numbers."""
    ours, theirs = pair.base.vocabulary, pair.finetuned.vocabulary
    if ours is None or theirs is None:
        return
    for token, number in sorted(ours.items(), key=lambda item: item[1]):
        if theirs.get(token) != number:
            raise DeltaError(
                f"{pair.finetuned.label} has another tokenizer than {pair.base.label}: token {token!r} is number "
                f"{number} in the base and {theirs.get(token, 'missing')} in the fine-tune; use a fine-tune that keeps "
                "the base's tokens"
            )


def _changed(name: str, theirs: "torch.Tensor", ours: "torch.Tensor | None") -> "dict[str, torch.Tensor]":
    if ours is None:
        return {name: theirs}
    rows = ours.shape[0]
    if ours.shape[1:] == theirs.shape[1:] and rows <= theirs.shape[0] and _equal(theirs[:rows], ours):
        return {f"{name}[{rows}:]": theirs[rows:].clone()} if rows < theirs.shape[0] else {}
    return {name: theirs}


def _equal(theirs: "torch.Tensor", ours: "torch.Tensor") -> bool:
    return bool((theirs.float() == ours.to(theirs.device).float()).all())


def _size(tensor: "torch.Tensor") -> str:
    return " x ".join(map(str, tensor.shape))


def _place(name: str) -> tuple[int, int]:
    block, kind = re.search(r"layers\.(\d+)\..*\.(\w+)_proj", name).groups()
    return int(block), PROJECTION_TYPES.index(kind)
