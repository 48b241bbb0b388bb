"""GPTQ for a whole model, block by block: each block sees what the quantised blocks before it put out."""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from lib.models import is_projection
from lib.onebit.baselines.gptq_matrix import gptq
from lib.onebit.baselines.rounding import check_finite
from lib.progress import progress

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_AT_ONCE = 8  # sequences

# What a block was called with: hidden states [sequences, T, width], and everything else.
_Call = tuple[torch.Tensor, dict[str, Any]]


def gptq_copy(
    model: "PreTrainedModel",
    blocks: torch.Tensor,
    bits: int,
    *,
    symmetric: bool = False,
    act_order: bool = False,
    damping: float = 0.01,
) -> "PreTrainedModel":
    """Return a copy of a model with every projection quantised by GPTQ, in the order in which they are used.

    Args:
        model: Of the Llama, Mistral or Qwen shape; left as it is.
        blocks: Calibration token ids, [sequences, T]; the paper takes 128 sequences of 2,048.
        bits: Bits a code.
        symmetric: Kind of grid; see `grids`.
        act_order: See `gptq`; the paper uses it for LLaMA.
        damping: See `gptq`.

    Raises:
        ValueError: A weight holds NaN or infinity, or a Hessian cannot be inverted; the message names the tensor.
    """
    for name, parameter in model.named_parameters():
        check_finite(parameter, name)  # a NaN in the embedding or a norm would show up as a Hessian that has no inverse
    quantised = copy.deepcopy(model).eval()
    with torch.no_grad():
        calls = _calls_of_first_block(quantised, blocks)
        for number, block in enumerate(progress(quantised.model.layers, "GPTQ")):
            linears = _projections(block, number)
            for name, hessian in _hessians(block, linears, calls).items():
                weight = linears[name].weight
                weight.copy_(
                    gptq(
                        weight.float(),
                        hessian,
                        bits,
                        symmetric=symmetric,
                        act_order=act_order,
                        damping=damping,
                        name=f"{name}.weight",
                    )
                )
            calls = [(_hidden(block(hidden, **rest)), rest) for hidden, rest in calls]
    return quantised


def _calls_of_first_block(model: "PreTrainedModel", blocks: torch.Tensor) -> list[_Call]:
    calls: list[_Call] = []

    def keep(_block: nn.Module, positional: tuple[torch.Tensor, ...], named: dict[str, Any]) -> None:
        calls.append((positional[0] if positional else named.pop("hidden_states"), named))
        raise _Seen

    handle = model.model.layers[0].register_forward_pre_hook(keep, with_kwargs=True)
    try:
        for part in blocks.split(_AT_ONCE):
            try:
                model(part.to(model.device).long(), use_cache=False)
            except _Seen:
                continue
    finally:
        handle.remove()
    return calls


class _Seen(Exception):
    """Ends a forward pass: nothing after the first block is needed."""


def _projections(block: nn.Module, number: int) -> dict[str, nn.Linear]:
    named = {f"model.layers.{number}.{name}": module for name, module in block.named_modules()}
    return {name: module for name, module in named.items() if is_projection(f"{name}.weight")}


def _hessians(block: nn.Module, linears: dict[str, nn.Linear], calls: list[_Call]) -> dict[str, torch.Tensor]:
    """Return X^T X of every linear layer's inputs over all calls, float64."""
    hessians: dict[str, torch.Tensor] = {}

    def add(name: str) -> Callable[[nn.Module, tuple[torch.Tensor, ...]], None]:
        def hook(_linear: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
            X = inputs[0].flatten(0, -2).float()
            product = (X.T @ X).double()
            hessians[name] = hessians[name] + product if name in hessians else product

        return hook

    with _hooks([linear.register_forward_pre_hook(add(name)) for name, linear in linears.items()]):
        for hidden, rest in calls:
            block(hidden, **rest)
    return hessians


@contextmanager
def _hooks(handles: list[Any]) -> Iterator[None]:
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _hidden(output: "torch.Tensor | tuple[torch.Tensor, ...]") -> torch.Tensor:
    return output[0] if isinstance(output, tuple) else output
