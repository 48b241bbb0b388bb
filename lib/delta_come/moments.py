"""What a layer's inputs are like, and what an error of its weights does to its outputs.

    X = layer_inputs(model, name, blocks)                  # [N, n]
    H = second_moments(X)                                  # 2 / N X^T X
    output_error(delta, approximation, H)                  # ||(dW - A) X||^2 / ||dW X||^2

Errors in activation space need X only through H. All inputs here are those of one model as it is, layer by layer; how
errors of earlier layers reach later ones is left to measures on the whole model.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch

from lib.delta_come.sequential import by_input

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from lib.delta_come.factors import CompressedMatrix

_TOKENS_AT_ONCE = 4096


def layer_inputs(model: "PreTrainedModel", name: str, blocks: torch.Tensor) -> torch.Tensor:
    """Return the inputs of one projection on token blocks, float32 [N, n].

    Args:
        model: Of the Llama, Mistral or Qwen shape.
        name: The weight's name.
        blocks: Token ids, [sequences, T].
    """
    seen: list[torch.Tensor] = []

    def keep(_linear: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        seen.append(inputs[0].flatten(0, -2).float())

    _run(model, blocks, {name: keep})
    return torch.cat(seen)


def second_moments(inputs: torch.Tensor) -> torch.Tensor:
    """Return H = 2 / N X^T X, [n, n]."""
    return 2 / len(inputs) * inputs.T @ inputs


def input_moments(model: "PreTrainedModel", names: Sequence[str], blocks: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return H of the inputs of many projections, by the weight's name; those with the same inputs share a tensor.

    Args:
        model: Of the Llama, Mistral or Qwen shape.
        names: Weights' names.
        blocks: Token ids, [sequences, T].
    """
    moments: dict[str, torch.Tensor] = {}
    tokens = blocks.numel()

    def adding(name: str):  # noqa: ANN202 - a hook
        def add(_linear: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
            X = inputs[0].flatten(0, -2).float()
            part = 2 / tokens * X.T @ X
            moments[name] = moments[name] + part if name in moments else part

        return add

    by_block: dict[str, list[str]] = {}
    for name in names:
        by_block.setdefault(name.split(".layers.")[1].split(".")[0], []).append(name)
    sets = [own for block in by_block.values() for own in by_input(block)]
    _run(model, blocks, {own[0]: adding(own[0]) for own in sets})
    return {name: moments[own[0]] for own in sets for name in own}


def output_error(delta: torch.Tensor, approximation: torch.Tensor, hessian: torch.Tensor | None = None) -> float:
    """Return the relative squared error at a layer's outputs; without H that of the weights.

    Args:
        delta: dW, [m, n], not zero.
        approximation: What stands in its place, [m, n].
        hessian: H of the inputs, [n, n], up to a factor.
    """
    missed = delta - approximation
    return (_energy(missed, hessian) / _energy(delta, hessian)).item()


def mean_output_error(
    deltas: Mapping[str, torch.Tensor],
    matrices: "Mapping[str, CompressedMatrix]",
    moments: Mapping[str, torch.Tensor],
) -> float:
    """Return the mean over matrices of the relative squared error at their outputs; zero deltas are left out."""
    errors = [
        output_error(delta, matrices[name].delta(), moments[name]) for name, delta in deltas.items() if delta.any()
    ]
    return sum(errors) / len(errors)


def _energy(matrix: torch.Tensor, hessian: torch.Tensor | None) -> torch.Tensor:
    """tr(A H A^T), or ||A||_F^2."""
    seen = matrix if hessian is None else matrix @ hessian
    return (seen * matrix).double().sum()


def _run(model: "PreTrainedModel", blocks: torch.Tensor, hooks: Mapping[str, object]) -> None:
    handles = [
        model.get_submodule(name.removesuffix(".weight")).register_forward_pre_hook(hook)
        for name, hook in hooks.items()
    ]
    try:
        with torch.no_grad():
            for part in blocks.split(max(1, _TOKENS_AT_ONCE // blocks.shape[1])):
                model.base_model(input_ids=part.to(model.device).long(), use_cache=False)
    finally:
        for handle in handles:
            handle.remove()
