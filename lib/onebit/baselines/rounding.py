"""A model whose projections are replaced by something that needs neither data nor training."""

import copy
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch

from lib.models import projection_matrices

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def rounded_copy(model: "PreTrainedModel", approximate: Callable[[torch.Tensor], torch.Tensor]) -> "PreTrainedModel":
    """Return a copy of a model with every projection's weight approximated; all else is the same.

    Args:
        model: Left as it is.
        approximate: W [m, n] -> W' [m, n], such as `round_to_nearest` or one of `lib.onebit.approximations`; computed
            in fp32, stored in the model's own dtype.

    Raises:
        ModelError: The model has no projections.
        ValueError: A weight holds NaN or infinity; the message names the tensor.
    """
    rounded = copy.deepcopy(model)
    with torch.no_grad():
        for projection in projection_matrices(rounded):
            check_finite(projection.weight, projection.name)
            projection.weight.copy_(approximate(projection.weight.float()))
    return rounded


def check_trainable(weight: torch.Tensor, name: str) -> None:
    """Raise a ValueError that names a tensor that holds NaN or infinity, or nothing but zeros."""
    check_finite(weight, name)
    if not weight.any():
        raise ValueError(f"{name} is all zero: its grid has one value and no step; leave that layer unquantised")


def check_finite(weight: torch.Tensor, name: str) -> None:
    """Raise a ValueError that names a tensor with NaN or infinity in it."""
    broken = int((~weight.isfinite()).sum())
    if broken:
        raise ValueError(f"{name} holds {broken} weights that are NaN or infinite; is the checkpoint whole?")
