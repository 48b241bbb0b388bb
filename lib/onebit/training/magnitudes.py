"""How large a model's activations are, layer by layer: the paper's reason for its LayerNorm (section 5.3, App. A.5)."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn

from lib.models import is_projection
from lib.onebit.svid import onebit_linear, sign
from lib.onebit.training.layer import OneBitLinear

if TYPE_CHECKING:
    from transformers import PreTrainedModel

FP16_MAX = 65_504.0

_AT_ONCE = 16  # sequences
_PLACE = re.compile(r".*layers\.(\d+)\.(?:self_attn|mlp)\.(\w+)_proj")


@dataclass(frozen=True)
class LayerMagnitude:
    """The size of one projection's outputs over some text.

    Attributes:
        name: The layer.
        block: Its block's number, from 0.
        type: q, k, v, o, gate, up or down.
        std: Root mean square of the outputs Z, as the next layer sees them.
        product_std: Root mean square of the products Y, before a LayerNorm and a bias; for other layers as `std`.
        product_largest: Largest |Y|.
        overflows: Share of the values of Y beyond fp16's 65,504, 0 to 1.
    """

    name: str
    block: int
    type: str
    std: float
    product_std: float
    product_largest: float
    overflows: float


def layer_magnitudes(model: "PreTrainedModel", blocks: torch.Tensor) -> tuple[LayerMagnitude, ...]:
    """Return the size of every projection's outputs, in the model's order, computed in the model's own dtype.

    Args:
        model: Dense or with OneBit layers.
        blocks: Token ids, [blocks, T].
    """
    sums: dict[str, _Sums] = {}
    handles = [
        module.register_forward_hook(_adding_to(sums.setdefault(name, _Sums())))
        for name, module in model.named_modules()
        if is_projection(f"{name}.weight")
    ]
    training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            for part in blocks.split(_AT_ONCE):
                model(part.to(model.device).long(), use_cache=False)
    finally:
        model.train(training)
        for handle in handles:
            handle.remove()
    return tuple(_magnitude(name, found) for name, found in sums.items())


@dataclass
class _Sums:
    values: int = 0
    squares: float = 0.0
    product_squares: float = 0.0
    largest: float = 0.0
    overflows: int = 0


def _adding_to(sums: _Sums) -> Callable[[nn.Module, tuple[torch.Tensor, ...], torch.Tensor], None]:
    def hook(layer: nn.Module, inputs: tuple[torch.Tensor, ...], outputs: torch.Tensor) -> None:
        products = outputs.float()
        if isinstance(layer, OneBitLinear):
            x = inputs[0].float()
            products = onebit_linear(x, sign(layer.latent), layer.input_scale.float(), layer.output_scale.float())
        sums.values += products.numel()
        sums.squares += outputs.double().square().sum().item()
        sums.product_squares += products.double().square().sum().item()
        sums.largest = max(sums.largest, products.abs().max().item())
        sums.overflows += int((products.abs() > FP16_MAX).sum())

    return hook


def _magnitude(name: str, sums: _Sums) -> LayerMagnitude:
    block, kind = _PLACE.fullmatch(name).groups()
    return LayerMagnitude(
        name=name,
        block=int(block),
        type=kind,
        std=(sums.squares / sums.values) ** 0.5,
        product_std=(sums.product_squares / sums.values) ** 0.5,
        product_largest=sums.largest,
        overflows=sums.overflows / sums.values,
    )
