"""A dense Llama-, Mistral- or Qwen-shaped model becomes a OneBit model, in place."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from lib.models.errors import ModelError
from lib.models.projections import is_projection
from lib.onebit.checkpoint import CheckpointError, OneBitMatrix
from lib.onebit.pretrained.configuration import OneBitConfig
from lib.onebit.pretrained.layer import OneBitLinear
from lib.onebit.svid import Split, svid
from lib.progress import progress

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclass(frozen=True)
class ProjectionMemory:
    """What a model's OneBit projections hold in memory.

    Attributes:
        bytes: Signs in the device's order, scales and biases.
        weights: Number of weights that the signs stand for.
    """

    bytes: int
    weights: int

    @property
    def bits_per_weight(self) -> float:
        """Resident bits a weight; 32 / this is how many times less than fp32."""
        return 8 * self.bytes / self.weights

    def __repr__(self) -> str:
        return f"{self.bytes:,} bytes for {self.weights:,} weights, {self.bits_per_weight:.3f} bits each"


def quantise(
    model: "PreTrainedModel",
    split: Split = "balanced",
    post_layer_norm: bool = False,
    modules_to_not_convert: Sequence[str] = (),
) -> "PreTrainedModel":
    """Replace every projection of a dense model by its SVID, in place, and return the model.

    Args:
        model: A model whose blocks hold q, k, v, o, gate, up and down, on any device.
        split: How the magnitude is shared between h and g, see `svid`.
        post_layer_norm: Whether each projection normalises its output, as the paper's trained students do.
        modules_to_not_convert: Projections that stay dense, see `OneBitConfig`.

    Raises:
        ModelError: There are no projections, or the model is quantised already.
        ValueError: A weight is not finite, or with `post_layer_norm` a row is all zero; the message names the tensor.
        CheckpointError: A scale does not fit fp16; the model is then half converted: load it again.
    """
    config = OneBitConfig(post_layer_norm, modules_to_not_convert)
    linears = _dense_projections(model, config)
    for name, linear in linears.items():  # all of them first: an error leaves the model as it was
        _check_weight(linear.weight.detach(), f"{name}.weight", post_layer_norm)
    decomposed = (
        (name, _decompose(linears.pop(name), f"{name}.weight", split)) for name in progress(list(linears), "SVID")
    )
    return replace_projections(model, decomposed, config)


def replace_projections(
    model: "PreTrainedModel", matrices: Iterable[tuple[str, OneBitMatrix]], config: OneBitConfig
) -> "PreTrainedModel":
    """Put matrices in the place of a model's projections, one by one, and make it a OneBit model of transformers.

    Args:
        model: A dense model; its biases are kept.
        matrices: Name of the projection ("model.layers.0.self_attn.q_proj") and its matrix, for every one that `config`
            converts. They are taken one at a time, so that a generator needs memory for one.
        config: What the checkpoint will say.

    Raises:
        CheckpointError: A matrix is missing, belongs to no projection, or has another shape than it.
    """
    expected = set(_dense_projections(model, config))
    for name, matrix in matrices:
        if name not in expected:
            raise CheckpointError(f"{name} is no dense projection of this model that the configuration converts")
        expected.remove(name)
        linear = model.get_submodule(name)
        if matrix.shape != (linear.out_features, linear.in_features):
            dense = (linear.out_features, linear.in_features)
            raise CheckpointError(f"{name} is given as {matrix.shape}; the model's projection is {dense}")
        layer = OneBitLinear.from_matrix(matrix, linear.bias, config.post_layer_norm)
        layer.check(name)
        model.set_submodule(name, layer.to(linear.weight.device))
    if expected:
        raise CheckpointError(f"no matrix was given for {min(expected)} ({len(expected)} missing)")
    _mark(model, config)
    return model


def onebit_layers(model: torch.nn.Module) -> dict[str, OneBitLinear]:
    """Return a model's OneBit layers by name."""
    return {name: module for name, module in model.named_modules() if isinstance(module, OneBitLinear)}


def projection_memory(model: torch.nn.Module) -> ProjectionMemory:
    """Return what a model's OneBit projections hold in memory.

    Raises:
        ModelError: It has none.
    """
    layers = onebit_layers(model).values()
    if not layers:
        raise ModelError(f"this {type(model).__name__} has no OneBit projections: call quantise(model) first")
    tensors = [tensor for layer in layers for tensor in (*layer.buffers(), *layer.parameters())]
    return ProjectionMemory(
        sum(tensor.nbytes for tensor in tensors), sum(layer.in_features * layer.out_features for layer in layers)
    )


def _dense_projections(model: "PreTrainedModel", config: OneBitConfig) -> dict[str, torch.nn.Linear]:
    if onebit_layers(model) or getattr(model, "hf_quantizer", None) is not None:
        raise ModelError(f"this {type(model).__name__} is quantised already; start from the dense model")
    return named_projections(model, config)


def named_projections(model: torch.nn.Module, config: OneBitConfig) -> dict[str, torch.nn.Linear]:
    """Return the dense projections that a configuration converts, by name.

    Raises:
        ModelError: There are none.
    """
    projections = {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and is_projection(f"{name}.weight") and config.converts(name)
    }
    if not projections:
        raise ModelError(
            f"this {type(model).__name__} has no projection to convert: expected linear layers named like "
            "model.layers.0.self_attn.q_proj, as Llama, Mistral and Qwen name them"
        )
    return projections


def _check_weight(weight: torch.Tensor, name: str, post_layer_norm: bool) -> None:
    if not (finite := weight.isfinite()).all():
        row, column = (~finite).nonzero()[0].tolist()
        raise ValueError(f"{name} holds {weight[row, column].item()} at [{row}, {column}]; SVID needs finite weights")
    if post_layer_norm and (zero := (weight == 0).all(dim=1)).any():
        # Without the LayerNorm such an output is 0, as it should be; with it, it becomes minus the others' mean.
        raise ValueError(
            f"{name} has an all-zero row, {zero.nonzero()[0].item()}, which no LayerNorm keeps at zero: "
            "quantise with post_layer_norm=False, or leave this projection dense through modules_to_not_convert"
        )


def _decompose(linear: torch.nn.Linear, name: str, split: Split) -> OneBitMatrix:
    return OneBitMatrix.from_svid(svid(linear.weight.detach(), split, name), name)


def _mark(model: "PreTrainedModel", config: OneBitConfig) -> None:
    """Set what transformers' own loading sets, so that saving, `dequantize` and the rest treat the model alike."""
    from lib.onebit.pretrained.quantizer import OneBitQuantizer

    quantizer = OneBitQuantizer(config, pre_quantized=True)
    model.hf_quantizer, model.is_quantized, model.quantization_method = quantizer, True, config.quant_method
    quantizer.postprocess_model(model)
