"""The checkpoints that the paper's authors released, in our format.

Theirs, of a layer `name` [m, n] (scripts/convert_llama_to_infer_ckpt.py): `name.weight` int8 [m, n / 8], eight inputs a
byte, lowest bit first, bit 0 = +1; `name.weight_scale` (h) fp32 [m]; `name.input_factor` (g) fp32 [n]. Ours has the
same bits; what changes are the names, the type of the byte, and fp16 vectors (a relative error of at most 2^-11 in the
normal range).
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch

from lib.onebit.checkpoint import CheckpointError
from lib.onebit.pretrained.configuration import OneBitConfig

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel

_PARTS = {"weight_scale": "output_scale", "input_factor": "input_scale"}


def convert_release(state_dict: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return a released state dict in our names and types; what is not quantised is passed on as it is.

    The models were trained with the LayerNorm: load the result with `OneBitConfig(post_layer_norm=True)`.

    Raises:
        CheckpointError: It holds no such layer, or a layer's parts are missing, don't fit together or don't fit fp16.
    """
    layers = sorted({name.rpartition(".")[0] for name in state_dict if name.rpartition(".")[2] in _PARTS})
    if not layers:
        raise CheckpointError("the state dict holds no weight_scale or input_factor: it is no released OneBit model")
    theirs = {f"{layer}.{part}" for layer in layers for part in ("weight", *_PARTS)}
    converted = {name: tensor for name, tensor in state_dict.items() if name not in theirs}
    for layer in layers:
        converted |= _convert(layer, state_dict)
    return converted


def model_from_release(state_dict: Mapping[str, torch.Tensor], config: "PretrainedConfig") -> "PreTrainedModel":
    """Return a released state dict as a model of transformers, ready for `save_model`.

    Args:
        state_dict: As released.
        config: Of the plain architecture (LlamaConfig); the released config.json names a class of their fork.

    Raises:
        CheckpointError: As `convert_release`, or a projection of the model is not in the state dict.
    """
    from transformers import AutoModelForCausalLM

    converted = convert_release(state_dict)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    quantization = OneBitConfig(post_layer_norm=True)
    tied = set(model.all_tied_weights_keys)
    _check_complete(converted, {name: p.shape for name, p in model.named_parameters() if name not in tied})
    config.quantization_config = quantization.to_dict()
    return type(model).from_pretrained(None, config=config, state_dict=converted, dtype=config.dtype or "float32")


def _check_complete(converted: Mapping[str, torch.Tensor], shapes: Mapping[str, torch.Size]) -> None:
    for name, shape in shapes.items():
        layer = name.removesuffix(".weight")
        if f"{layer}.sign_bits" in converted:
            found = (len(converted[f"{layer}.output_scale"]), len(converted[f"{layer}.input_scale"]))
        elif name in converted:
            found = converted[name].shape
        else:
            raise CheckpointError(f"{name} is not in the released state dict")
        if tuple(found) != tuple(shape):
            raise CheckpointError(f"{name} is {list(found)} in the released state dict; the model has {list(shape)}")


def _convert(layer: str, state_dict: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    for part in ("weight", *_PARTS):
        if f"{layer}.{part}" not in state_dict:
            raise CheckpointError(f"the released layer {layer} lacks {layer}.{part}")
    packed, h, g = (state_dict[f"{layer}.{part}"] for part in ("weight", *_PARTS))
    if packed.dtype != torch.int8:
        raise CheckpointError(
            f"{layer}.weight is {packed.dtype}; a released inference checkpoint packs signs as int8 "
            "(a training checkpoint holds latent weights: pack it first)"
        )
    if h.ndim != 1 or g.ndim != 1 or list(packed.shape) != [len(h), len(g) / 8]:
        raise CheckpointError(
            f"{layer}.weight has shape {list(packed.shape)}; its weight_scale {list(h.shape)} and input_factor "
            f"{list(g.shape)} need [outputs, inputs / 8]"
        )
    vectors = {f"{layer}.{ours}": _half(f"{layer}.{part}", state_dict) for part, ours in _PARTS.items()}
    return {f"{layer}.sign_bits": packed.view(torch.uint8)} | vectors


def _half(name: str, state_dict: Mapping[str, torch.Tensor]) -> torch.Tensor:
    vector = state_dict[name]
    if not vector.half().isfinite().all():
        raise CheckpointError(f"{name} holds {vector.abs().max().item():.4g}, which is not finite in fp16")
    return vector.half()
