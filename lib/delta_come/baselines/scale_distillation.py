"""BitDelta's second step: the scales alone are trained until the logits are the fine-tune's.

    min over a of mean (z_student - z_finetuned)^2,  200 steps of 4 x 128 tokens, AdamW, a cosine to zero

All weights, signs, norms and embeddings stay. Scales are rounded to fp16 at the end, as they are stored. The authors'
learning rate of 1e-4 is made for scales of some 1e-4; those of a tiny model's delta are hundreds of times as large and
would hardly move. So ten times that rate is tried as well, and the scales with the smaller loss are kept.
"""

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn

from lib.delta_come.baselines.signs import SignMatrix
from lib.delta_come.baselines.stored import StoredDelta
from lib.delta_come.errors import DeltaError
from lib.progress import progress

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclass(frozen=True)
class ScaleRecipe:
    """How scales are trained; all but the second learning rate are as BitDelta's authors have it.

    Attributes:
        steps: Optimiser steps.
        batch: Sequences in a step.
        length: Tokens in a sequence.
        learning_rates: At the start; a cosine takes it down to zero. The authors' is the first.
        seed: Of the order of the text.
    """

    steps: int = 200
    batch: int = 4
    length: int = 128
    learning_rates: tuple[float, ...] = (1e-4, 1e-3)
    seed: int = 0


def distil_scales(
    stored: StoredDelta,
    base: "PreTrainedModel",
    finetuned: "PreTrainedModel",
    tokens: torch.Tensor,
    recipe: ScaleRecipe = ScaleRecipe(),
    name: str = "bitdelta_trained",
) -> StoredDelta:
    """Return the same signs with scales that were trained.

    Args:
        stored: All matrices are SignMatrix.
        base: Its weights are left as they are.
        finetuned: The teacher; norms and embeddings of the student are its own.
        tokens: Text as token ids, any shape; cut into sequences of `recipe.length`.
        recipe: How.
        name: Of the result.

    Raises:
        DeltaError: The text is shorter than one sequence.
    """
    batches = _batches(tokens, recipe)
    trained = [_train(stored, base, finetuned, batches, rate) for rate in recipe.learning_rates]
    _, layers = min(trained, key=lambda found: found[0])
    return StoredDelta(
        name, {own: matrix.with_scales(tuple(layers[own].scales)) for own, matrix in stored.matrices.items()}
    )


def _train(
    stored: StoredDelta,
    base: "PreTrainedModel",
    finetuned: "PreTrainedModel",
    batches: Sequence[torch.Tensor],
    learning_rate: float,
) -> tuple[float, "dict[str, _ScaledSigns]"]:
    """Return the mean loss over the last quarter of the steps, infinite where it diverged, and the trained layers."""
    layers = _student_layers(stored.matrices, base)
    student = _student(finetuned, layers)
    parameters = [scale for layer in layers.values() for scale in layer.scales]
    optimizer = torch.optim.AdamW(parameters, weight_decay=0.0)
    losses = []
    with torch.enable_grad():
        for step, ids in enumerate(progress(batches, f"training scales at {learning_rate:g}")):
            for group in optimizer.param_groups:
                group["lr"] = learning_rate * 0.5 * (1 + math.cos(math.pi * step / len(batches)))
            with torch.no_grad():
                wanted = finetuned(ids, use_cache=False).logits.float()
            loss = (student(ids, use_cache=False).logits.float() - wanted).square().mean()
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    late = losses[-max(1, len(losses) // 4) :]
    mean = sum(late) / len(late)
    return mean if math.isfinite(mean) else math.inf, layers


class _ScaledSigns(nn.Module):
    """A layer y = (W_b + sum_p a_p S_p) x + bias, of which only the scales a_p are trained."""

    def __init__(self, weight: torch.Tensor, matrix: SignMatrix) -> None:
        super().__init__()
        self.weight = weight.detach()
        self.signs = [signs.float() for signs in matrix.signs]
        self.scales = nn.ParameterList([nn.Parameter(scale.float()) for scale in matrix.scales])
        self.bias: torch.Tensor | None = None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return y for x [..., n]."""
        weight = self.weight
        for scale, signs in zip(self.scales, self.signs, strict=True):
            weight = weight + scale * signs
        return nn.functional.linear(x, weight, self.bias)


def _student_layers(matrices: Mapping[str, SignMatrix], base: "PreTrainedModel") -> dict[str, _ScaledSigns]:
    return {name: _ScaledSigns(base.get_parameter(name).float(), matrix) for name, matrix in matrices.items()}


def _student(finetuned: "PreTrainedModel", layers: Mapping[str, _ScaledSigns]) -> "PreTrainedModel":
    student = copy.deepcopy(finetuned).eval().requires_grad_(False)
    for name, layer in layers.items():
        path, _, kind = name.removesuffix(".weight").rpartition(".")
        parent = student.get_submodule(path)
        layer.bias = getattr(parent, kind).bias
        setattr(parent, kind, layer)
    return student


def _batches(tokens: torch.Tensor, recipe: ScaleRecipe) -> list[torch.Tensor]:
    """Cut text into sequences and return `steps` batches, each round in another order."""
    flat = tokens.flatten().long()
    count = len(flat) // recipe.length
    if count < 1:
        raise DeltaError(
            f"training scales takes sequences of {recipe.length} tokens and the text has {len(flat)}; give more text"
        )
    sequences = flat[: count * recipe.length].reshape(count, recipe.length)
    generator = torch.Generator().manual_seed(recipe.seed)
    rounds = math.ceil(recipe.steps * recipe.batch / count)
    order = torch.cat([torch.randperm(count, generator=generator) for _ in range(rounds)])
    return [sequences[order[step * recipe.batch : (step + 1) * recipe.batch]] for step in range(recipe.steps)]
