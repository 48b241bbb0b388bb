"""Whether an artifact belongs to a base model: its shapes, its settings, its weights."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lib.delta_come.artifact import Artifact
from lib.delta_come.checkpoint import EMBEDDING, HEAD
from lib.delta_come.delta import split_rows
from lib.delta_come.errors import DeltaError
from lib.delta_come.hashes import content_hash, first_difference

if TYPE_CHECKING:
    from transformers import PreTrainedModel

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
        elif shapes.get(name, layout.shape) == layout.shape:
            continue  # a bias may be new
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
