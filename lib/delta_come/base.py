"""Whether an artifact belongs to a base model: its shapes, its settings, its weights."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lib.delta_come.artifact import Artifact
from lib.delta_come.checkpoint import EMBEDDING, HEAD
from lib.delta_come.delta import split_rows
from lib.delta_come.errors import DeltaError
from lib.delta_come.hashes import content_hash, first_difference
from lib.models import is_projection

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from lib.delta_come.delta import Pair

# The settings that give a block's projections biases.
BIASED = {"self_attn": "attention_bias", "mlp": "mlp_bias"}

# Settings that are no weights and change what a model computes. Two tenants of one batch cannot differ in them.
_COMPUTING = (
    "model_type",
    "hidden_act",
    "num_attention_heads",
    "num_key_value_heads",
    "head_dim",
    "rms_norm_eps",
    "rope_parameters",
    "sliding_window",
    "layer_types",
)


def check_carried(pair: "Pair") -> None:
    """Check that what a fine-tune has beside its projections can be put on its base again.

    Taken are tensors of the base's shape, a vocabulary of another size, an output head where the base's is its
    embedding, and biases of projections that the fine-tune's settings name.

    Raises:
        DeltaError: There is another tensor; the message names it.
    """
    ours, theirs = pair.base.weights, pair.finetuned.weights
    label, config = pair.finetuned.label, pair.finetuned.config
    shapes = {name: tuple(theirs[name].shape) for name in theirs if name not in pair.projections}
    for name, shape in shapes.items():
        if name not in ours:
            if name != HEAD and not (is_new_bias(name) and config.get(BIASED[name.split(".")[-3]])):
                raise DeltaError(
                    f"{label} holds {name}, {_size(shape)}, which {pair.base.label} has not and cannot be given: "
                    "new may be rows of the embedding, an output head, and biases of projections that config.json "
                    "tells of (attention_bias, mlp_bias); take the tensor out of the fine-tune and keep it apart"
                )
            continue
        own = tuple(ours[name].shape)
        if shape != own and not (name in (EMBEDDING, HEAD) and shape[1:] == own[1:]):
            raise DeltaError(
                f"{name} is {_size(own)} in {pair.base.label} and {_size(shape)} in {label}; of tensors that are not "
                "compressed only embedding and output head may have other rows: give the base that it was trained from"
            )
    rows = {name: shapes[name][0] for name in (EMBEDDING, HEAD) if name in shapes}
    if len(set(rows.values())) > 1:
        raise DeltaError(
            f"{label} has {rows[EMBEDDING]} rows in {EMBEDDING} and {rows[HEAD]} in {HEAD}, but a model has one "
            "vocabulary; repair that checkpoint (`resize_token_embeddings` changes both)"
        )


def is_new_bias(name: str) -> bool:
    """Tell whether a tensor is a bias of a projection, which a fine-tune may have where its base has none."""
    return name.endswith(".bias") and is_projection(f"{name.removesuffix('.bias')}.weight")


def check_base(artifact: Artifact, found: Mapping[str, str]) -> None:
    """Hold the base that an artifact was made from against another one.

    Args:
        artifact: Says which base it belongs to.
        found: Digests of a base's tensors (`hashes`).

    Raises:
        DeltaError: They differ; the message names the first tensor.
    """
    header = artifact.header
    if content_hash(found) == header.base_hash:
        return
    difference = header.base_tensors and first_difference(header.base_tensors, found)
    raise DeltaError(
        f"{artifact} belongs to another base (hash {header.base_hash}, this one has {content_hash(found)}"
        + (f"; {difference} here" if difference else "")
        + "): load the base that it was compressed from, in a dtype that does not round its weights; "
        "verify=False leaves this check out"
    )


def check_shapes(artifact: Artifact, model: "PreTrainedModel") -> None:
    """Check that a model has all weights that an artifact changes, in their shapes.

    Raises:
        DeltaError: One is missing or has another shape.
    """
    shapes = {name: tuple(weight.shape) for name, weight in model.state_dict().items()}
    for name, layout in artifact.matrices.items():
        if shapes.get(name) != layout.shape:
            raise DeltaError(
                f"{artifact} changes {name}, {_size(layout.shape)}; this {type(model).__name__} has "
                f"{_size(shapes[name]) if name in shapes else 'no such weight'}: load the base that it was made from"
            )
    for raw, layout in artifact.raw_layouts.items():
        name, first_row = split_rows(raw)
        if name in (EMBEDDING, HEAD):
            grown = shapes.get(name, layout.shape)
            if grown[1:] == layout.shape[1:] and first_row in (0, grown[0]):
                continue
        elif shapes.get(name) == layout.shape or (name not in shapes and is_new_bias(name)):
            continue
        if name not in shapes:
            raise DeltaError(
                f"{artifact} holds {raw}, {_size(layout.shape)}, which this {type(model).__name__} has not: load the "
                "base that it was made from, or take the tensor out of the fine-tune and compress it again"
            )
        raise DeltaError(
            f"{artifact} holds {raw}, {_size(layout.shape)}; it does not fit the {_size(shapes[name])} of this "
            f"{type(model).__name__}: load the base that it was made from"
        )


def check_settings(artifact: Artifact, model: "PreTrainedModel") -> None:
    """Check that a tenant can share a batch with the base: what is no weight must be the same.

    Raises:
        DeltaError: It is not.
    """
    different = changed_settings(artifact, model.config.to_dict())
    if artifact.header.tied and not model.config.tie_word_embeddings:
        different["tie_word_embeddings"] = (True, False)
    if different:
        name, (theirs, ours) = next(iter(different.items()))
        raise DeltaError(
            f"{artifact} was fine-tuned with {name} {theirs}, the base has {ours}: rows of a batch cannot differ in "
            "it; merge it with `apply`, and serve it as a model of its own"
        )


def changed_settings(artifact: Artifact, config: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Return the settings that change what a model computes and differ from a base's: theirs and the base's, by name.

    An artifact that carries no settings differs in none.
    """
    theirs = artifact.header.config
    return {
        key: (theirs[key], config.get(key))
        for key in _COMPUTING
        if key in theirs and key in config and theirs[key] != config[key]
    }


def _size(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
