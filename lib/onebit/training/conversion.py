"""Putting other layers in the place of a model's projections, and what stays frozen around them.

q, k, v, o, gate, up and down of every block are replaced; token embedding, norms and output head are shared with the
teacher and frozen, as in the released code (the paper says only that W, g and h are trained).
"""

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn

from lib.models import is_projection
from lib.onebit.checkpoint import CheckpointError, OneBitMatrix
from lib.onebit.packing import pack_signs, unpack_signs
from lib.onebit.training.layer import OneBitLinear
from lib.onebit.training.starts import OFFICIAL, Start, check_rows, start_layer
from lib.onebit.training.straight_through import Estimator

if TYPE_CHECKING:
    from transformers import PreTrainedModel

MakeLayer = Callable[[nn.Linear, str], nn.Module]


@dataclass(frozen=True)
class OneBitForm:
    """What a student's layers look like.

    Attributes:
        start: How A, g and h are first set.
        post_norm: Whether each layer's outputs are normalised (Eq. 3).
        estimator: Gradient of the sign.
    """

    start: Start = OFFICIAL
    post_norm: bool = True
    estimator: Estimator = "tanh"

    def bits_per_weight(self, m: int, n: int) -> float:
        """Return the stored bits of a layer [m, n], divided by m n."""
        return 1 + 16 * (1 / m + 1 / n)

    def make_layer(self, linear: nn.Linear, name: str) -> nn.Module:
        """Return the trainable layer that takes a dense layer's place."""
        first = start_layer(linear.weight, self.start, f"{name}.weight")
        if self.post_norm:
            check_rows(linear.weight, f"{name}.weight")
        return OneBitLinear(
            first.latent,
            first.input_scale,
            first.output_scale,
            linear.bias,
            post_norm=self.post_norm,
            estimator=self.estimator,
        )


def student_of(teacher: "PreTrainedModel", make_layer: MakeLayer) -> "PreTrainedModel":
    """Return a copy of a teacher whose projections are replaced and all else is frozen; the teacher is left as it is.

    Args:
        teacher: A model of the Llama, Mistral or Qwen shape.
        make_layer: Takes a dense layer and its name, returns what takes its place, such as `OneBitForm().make_layer`.

    Raises:
        ValueError: It has no projections, or a weight cannot be started from; the message names the tensor.
    """
    # Everything but the dense weights is copied: the layers that are replaced need not exist twice.
    dense = dict(_projections(teacher))
    if not dense:
        raise ValueError(
            f"{type(teacher).__name__} has no projections: expected layers named like "
            "model.layers.0.self_attn.q_proj, as in Llama, Mistral and Qwen"
        )
    student = copy.deepcopy(teacher, {id(linear): linear for linear in dense.values()})
    layers = {name: make_layer(linear, name).to(linear.weight.device) for name, linear in dense.items()}
    for name, layer in layers.items():
        parent, _, child = name.rpartition(".")
        setattr(student.get_submodule(parent), child, layer)
    student.requires_grad_(False)
    for layer in layers.values():
        layer.requires_grad_(True)
    return student


def onebit_layers(model: nn.Module) -> Iterator[tuple[str, OneBitLinear]]:
    """Yield the names and layers of a student's OneBit projections."""
    for name, module in model.named_modules():
        if isinstance(module, OneBitLinear):
            yield name, module


def packed_layers(student: nn.Module) -> dict[str, OneBitMatrix]:
    """Return what is kept of a trained student's OneBit layers, by the layer's name: sign bits, g and h in fp16.

    Raises:
        CheckpointError: A value vector does not fit fp16; the message names the layer.
    """
    packed = {}
    for name, layer in onebit_layers(student):
        h, g = layer.output_scale.detach().half(), layer.input_scale.detach().half()
        if not (h.isfinite().all() and g.isfinite().all()):
            raise CheckpointError(f"{name}: a value vector holds a number that does not fit fp16 (at most 65,504)")
        packed[name] = OneBitMatrix(pack_signs(layer.latent.detach()), h, g)
    return packed


def sign_snapshot(model: nn.Module) -> dict[str, torch.Tensor]:
    """Return the packed signs of every latent weight of a model, by the layer's name; an eighth of a byte each."""
    return {name: pack_signs(latent) for name, latent in _latents(model)}


def flipped_share(model: nn.Module, snapshot: dict[str, torch.Tensor]) -> float:
    """Return the share of signs that differ from a snapshot's, over all layers, 0 to 1."""
    flips = weights = 0
    for name, latent in _latents(model):
        flips += _flips(latent, snapshot[name])
        weights += latent.numel()
    return flips / weights


def flipped_by_kind(model: nn.Module, snapshot: dict[str, torch.Tensor]) -> dict[str, float]:
    """Return the share of signs that differ from a snapshot's, 0 to 1, by the kind of layer: "q_proj", "up_proj"..."""
    counts: dict[str, tuple[int, int]] = {}
    for name, latent in _latents(model):
        kind = name.rpartition(".")[2]
        flips, weights = counts.get(kind, (0, 0))
        counts[kind] = flips + _flips(latent, snapshot[name]), weights + latent.numel()
    return {kind: flips / weights for kind, (flips, weights) in counts.items()}


def _flips(latent: torch.Tensor, before: torch.Tensor) -> int:
    return int(((latent < 0) != (unpack_signs(before, latent.shape[1]) < 0)).sum())


def _projections(model: nn.Module) -> Iterator[tuple[str, nn.Linear]]:
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear) and is_projection(f"{name}.weight"):
            yield name, module


def _latents(model: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    for name, module in model.named_modules():
        if hasattr(module, "signed_weight"):
            yield name, module.signed_weight()
