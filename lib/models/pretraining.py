"""Training a tiny model on blocks of tokens, from nothing, resumable bit for bit.

AdamW, a linear warm-up and a cosine, gradients clipped at norm 1. Every batch is decided by the seed and the number of
the step alone, so the state that is saved is weights, AdamW's two moments and the step.
"""

import math
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from lib.models.errors import ModelError
from lib.progress import progress

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

    from lib.models.tiny import TinyRecipe

_BETAS = (0.9, 0.95)
_CLIP = 1.0
_FINAL_SHARE = 0.1  # of the peak learning rate
_SAVE_EVERY_S = 120.0
_LOG_EVERY = 50

# AdamW keeps these per parameter.
_MOMENTS = ("exp_avg", "exp_avg_sq")


def pretrain(model: "PreTrainedModel", blocks: "torch.Tensor", recipe: "TinyRecipe", state: Path) -> list[float]:
    """Train a model in place and return its loss, in nats a token, averaged over every 50 steps.

    Args:
        model: With first weights; trained in fp32.
        blocks: Tokens, [blocks, length]; read in a new random order each time round.
        recipe: Steps, batch, rates, seed.
        state: Where an interrupted training is kept; where the file is there, training goes on from it.

    Raises:
        ModelError: The loss is not a number any more; the state saved last stays.
    """
    import torch

    optimizer = torch.optim.AdamW(_parameter_groups(model, recipe.weight_decay), betas=_BETAS)
    first, losses = _restore(model, optimizer, state) if state.exists() else (0, [])
    order = _order(len(blocks), recipe)
    model.train()
    recent, saved = [], time.monotonic()
    for step in progress(range(first, recipe.steps), "training a teacher"):
        batch = blocks[order[step * recipe.batch : (step + 1) * recipe.batch]].long()
        recent.append(_step(model, optimizer, batch, _rate(step, recipe), bool(recipe.bf16)))
        if not math.isfinite(recent[-1]):
            raise ModelError(
                f"the loss is {recent[-1]} at step {step} of {recipe}; lower the learning rate. "
                f"The last good state is kept in {state}"
            )
        if (step + 1) % _LOG_EVERY == 0:
            losses.append(sum(recent) / len(recent))
            recent = []
            if time.monotonic() - saved > _SAVE_EVERY_S:
                _save(model, optimizer, step + 1, losses, state)
                saved = time.monotonic()
    model.eval()
    return losses


def _step(
    model: "PreTrainedModel", optimizer: "torch.optim.Optimizer", batch: "torch.Tensor", rate: float, bf16: bool
) -> float:
    """Take one optimiser step on a batch [sequences, tokens] and return its loss before the step."""
    import torch

    for group in optimizer.param_groups:
        group["lr"] = rate
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        logits = model(batch).logits
    loss = torch.nn.functional.cross_entropy(logits[:, :-1].float().flatten(0, 1), batch[:, 1:].flatten())
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), _CLIP)
    optimizer.step()
    return loss.item()


def _rate(step: int, recipe: "TinyRecipe") -> float:
    warm = min(1.0, (step + 1) / recipe.warmup)
    cosine = 0.5 * (1 + math.cos(math.pi * step / recipe.steps))
    return recipe.learning_rate * warm * (_FINAL_SHARE + (1 - _FINAL_SHARE) * cosine)


def _order(blocks: int, recipe: "TinyRecipe") -> "torch.Tensor":
    """Return which block is read when: one random order after the other, [steps * batch]."""
    import torch

    wanted = recipe.steps * recipe.batch
    generator = torch.Generator().manual_seed(recipe.seed)
    rounds = [torch.randperm(blocks, generator=generator) for _ in range(math.ceil(wanted / blocks))]
    return torch.cat(rounds)[:wanted]


def _parameter_groups(model: "PreTrainedModel", weight_decay: float) -> list[dict]:
    matrices = [parameter for parameter in model.parameters() if parameter.ndim > 1]
    vectors = [parameter for parameter in model.parameters() if parameter.ndim <= 1]
    return [{"params": matrices, "weight_decay": weight_decay}, {"params": vectors, "weight_decay": 0.0}]


def _save(
    model: "PreTrainedModel", optimizer: "torch.optim.Optimizer", step: int, losses: list[float], path: Path
) -> None:
    import torch
    from safetensors.torch import save_file

    tensors = {"step": torch.tensor(step), "losses": torch.tensor(losses, dtype=torch.float64)}
    for name, parameter in model.named_parameters():
        tensors[f"weight.{name}"] = parameter.detach()
        tensors |= {f"{moment}.{name}": optimizer.state[parameter][moment] for moment in _MOMENTS}
    writing = path.with_suffix(".writing")
    save_file(tensors, writing)
    os.replace(writing, path)


def _restore(model: "PreTrainedModel", optimizer: "torch.optim.Optimizer", path: Path) -> tuple[int, list[float]]:
    import torch
    from safetensors.torch import load_file

    tensors = load_file(path)
    step = int(tensors["step"])
    for name, parameter in model.named_parameters():
        parameter.data.copy_(tensors[f"weight.{name}"])
        moments = {moment: tensors[f"{moment}.{name}"] for moment in _MOMENTS}
        optimizer.state[parameter] = {"step": torch.tensor(float(step))} | moments
    return step, tensors["losses"].tolist()
