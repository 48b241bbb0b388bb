"""Whether a one-bit layer's outputs are as large as those of the layer it stands for (App. A.5), and how that adds up.

    ratio = std(Y) / std(X W^T),    Y = ((X * g) S^T) * h    or, without value vectors,    Y = X S^T

on the activations X that the dense layer itself sees. Signs alone are too large by about 1 / mean(|W|).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn

from lib.models import is_projection
from lib.onebit.svid import onebit_linear, sign, svid
from lib.onebit.training.magnitudes import FP16_MAX

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_AT_ONCE = 16  # sequences


@dataclass(frozen=True)
class OutputSize:
    """The size of one layer's outputs at the start, over that of the dense layer's.

    Attributes:
        name: The layer.
        with_values: Ratio of standard deviations with SVID's g and h.
        without_values: The same with g = h = 1.
        expected: 1 / mean(|W|), what a layer without value vectors is too large by if its signs matched W's pattern.
        overflows: Share of outputs without value vectors that are beyond fp16's 65,504.
    """

    name: str
    with_values: float
    without_values: float
    expected: float
    overflows: float


def output_sizes(model: "PreTrainedModel", blocks: torch.Tensor) -> tuple[OutputSize, ...]:
    """Return the sizes of all projections' outputs at the start from SVID, no training, no LayerNorm.

    Args:
        model: A dense model.
        blocks: Token ids, [blocks, T]; they run through the dense model, and each layer is measured on what it sees.
    """
    found: dict[str, OutputSize] = {}
    handles = [
        module.register_forward_hook(_measuring(name, found))
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and is_projection(f"{name}.weight")
    ]
    try:
        with torch.inference_mode():
            model(blocks.to(model.device).long(), use_cache=False)
    finally:
        for handle in handles:
            handle.remove()
    return tuple(found.values())


def largest_hidden(model: "PreTrainedModel", blocks: torch.Tensor) -> tuple[float, ...]:
    """Return the largest size of a hidden state's entry after each block, before the final norm.

    Args:
        model: Any causal language model of the Llama shape.
        blocks: Token ids, [blocks, T].
    """
    largest = [0.0] * len(model.model.layers)

    def look(number: int) -> Callable[[nn.Module, tuple, object], None]:
        def hook(_layer: nn.Module, _inputs: tuple, outputs: object) -> None:
            states = outputs[0] if isinstance(outputs, tuple) else outputs
            largest[number] = max(largest[number], states.abs().max().item())

        return hook

    handles = [layer.register_forward_hook(look(number)) for number, layer in enumerate(model.model.layers)]
    try:
        with torch.inference_mode():
            for part in blocks.split(_AT_ONCE):
                model(part.to(model.device).long(), use_cache=False)
    finally:
        for handle in handles:
            handle.remove()
    return tuple(largest)


def _measuring(name: str, found: dict[str, OutputSize]) -> Callable[[nn.Linear, tuple, torch.Tensor], None]:
    def hook(linear: nn.Linear, inputs: tuple[torch.Tensor, ...], outputs: torch.Tensor) -> None:
        x = inputs[0].flatten(0, -2).float()
        parts, weight = svid(linear.weight, name=f"{name}.weight"), linear.weight.float()
        dense = outputs.float() - (0 if linear.bias is None else linear.bias.float())
        size = dense.std()
        signs = sign(weight)
        bare = x @ signs.T
        scaled = onebit_linear(x, signs, parts.input_scale, parts.output_scale)
        found[name] = OutputSize(
            name=name,
            with_values=(scaled.std() / size).item(),
            without_values=(bare.std() / size).item(),
            expected=(1 / weight.abs().mean()).item(),
            overflows=(bare.abs() > FP16_MAX).float().mean().item(),
        )

    return hook
