"""A base and an artifact merged into the dense model that they stand for."""

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING

from lib.delta_come.base import BIASED, changed_settings, check_base, check_shapes
from lib.delta_come.checkpoint import EMBEDDING, HEAD
from lib.delta_come.errors import DeltaError
from lib.delta_come.hashes import model_digests
from lib.delta_come.tenants import as_artifact

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

    from lib.delta_come.artifact import Artifact
    from lib.delta_come.tenants import Source


def apply(
    base_model: "PreTrainedModel", source: "Source", verify: bool = True, in_place: bool = False
) -> "PreTrainedModel":
    """Return the fine-tuned model: W_b + sum_g U_g diag(s_g) V_g^T for every matrix, the artifact's tensors elsewhere.

    Sums are float32; weights keep the base's dtype. Where the fine-tune has other settings than the base (a larger
    vocabulary, another rotary base, a head of its own) the model is built with the fine-tune's.

    Args:
        base_model: A model of transformers.
        source: An artifact, its path, or a CompressedDelta.
        verify: Whether the base's weights are hashed and held against the artifact.
        in_place: Whether the base itself becomes the fine-tune, which saves its memory.

    Raises:
        DeltaError: The artifact can't be read, or belongs to another base.
    """
    import torch

    artifact = as_artifact(source)
    check_shapes(artifact, base_model)
    if verify and artifact.header.base_hash:
        check_base(artifact, model_digests(base_model))
    weights = _raw_weights(base_model, artifact)
    with torch.no_grad():
        model = _rebuilt(base_model, artifact, weights) or (base_model if in_place else copy.deepcopy(base_model))
        own = model.state_dict()
        for name, value in weights.items():
            own[name].copy_(value)
        for name in artifact.matrices:
            delta = artifact.matrix(name).unpack().delta()
            own[name].copy_(own[name].float() + delta.to(own[name].device))
    return model


def _raw_weights(base_model: "PreTrainedModel", artifact: "Artifact") -> "dict[str, torch.Tensor]":
    """Return the tensors that are the fine-tune's own, whole; a head that it shares is its embedding."""
    from lib.delta_come.delta import grown, split_rows

    base = base_model.state_dict()
    weights = {}
    for raw in artifact.raw_layouts:
        name, _ = split_rows(raw)
        weights[name] = grown(base.get(name), raw, artifact.raw(raw).to(base_model.device, base_model.dtype))
    if artifact.header.tied and (EMBEDDING in weights or not _tied(base_model)):
        weights[HEAD] = weights.get(EMBEDDING, base[EMBEDDING])
    return weights


def _rebuilt(
    base_model: "PreTrainedModel", artifact: "Artifact", weights: "Mapping[str, torch.Tensor]"
) -> "PreTrainedModel | None":
    """Return a model of the fine-tune's form with the base's weights; None where the base has that form."""
    import torch

    config, base = base_model.config.to_dict(), base_model.state_dict()
    rows = len(weights.get(EMBEDDING, base[EMBEDDING]))
    new = {name for name in weights if name not in base}
    tied = artifact.header.tied or (_tied(base_model) and HEAD not in weights)
    settings = {name: theirs for name, (theirs, _) in changed_settings(artifact, config).items()}
    if rows == config["vocab_size"] and tied == _tied(base_model) and not settings and not new:
        return None
    biased = {key: artifact.header.config[key] for key in BIASED.values() if key in artifact.header.config}
    changed = config | settings | biased | {"vocab_size": rows, "tie_word_embeddings": tied}
    with torch.random.fork_rng(devices=[]):  # the first weights are drawn, and then replaced
        model = type(base_model)(type(base_model.config).from_dict(changed))
    model = model.to(base_model.device, base_model.dtype).eval()
    own = model.state_dict()
    if homeless := sorted(new - own.keys()):
        raise DeltaError(
            f"{artifact} holds {homeless[0]}, and a {type(model).__name__} with the fine-tune's settings has no such "
            "tensor: serve it with `attach`, or compress a fine-tune without it"
        )
    for name, value in base.items():
        if name not in weights:
            own[name].copy_(value)
    model.generation_config = copy.deepcopy(base_model.generation_config)
    return model


def _tied(model: "PreTrainedModel") -> bool:
    return bool(model.config.tie_word_embeddings)
