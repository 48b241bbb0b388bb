"""Training all weights of a model on answers, resumable bit for bit.

Plain AdamW, a linear warm-up and a cosine to zero, gradients clipped at norm 1, the loss on the answers' tokens only.
Which items stand in which step is decided by the seed before the first one, so the state that is saved is weights,
AdamW's two moments, the step and the losses, as in `lib.models.pretraining`.
"""

import math
import time
from pathlib import Path
from typing import TYPE_CHECKING

from lib.models import pretraining
from lib.models.errors import ModelError
from lib.models.finetuning.examples import Examples, training_order
from lib.models.finetuning.recipe import Schedule
from lib.progress import progress

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

BETAS = (0.9, 0.99)
_CLIP = 1.0
_SAVE_EVERY_S = 120.0


def fit(
    model: "PreTrainedModel", examples: Examples, schedule: Schedule, state: Path, description: str = "fine-tuning"
) -> list[float]:
    """Train a model in place and return each step's loss, in nats an answer token.

    Args:
        model: Trained in fp32, whatever `schedule.bf16` says of the products.
        examples: What it learns from.
        schedule: Steps, batch, rates, seed.
        state: Where an interrupted training is kept; where the file is there, training goes on from it.
        description: What the progress bar says.

    Raises:
        ModelError: The loss is not a number any more; the state saved last stays.
    """
    import torch

    groups = pretraining._parameter_groups(model, schedule.weight_decay)
    optimizer = torch.optim.AdamW(groups, betas=BETAS, fused=True)
    first, losses = pretraining._restore(model, optimizer, state) if state.exists() else (0, [])
    order = training_order([len(ids) for ids in examples.ids], schedule.steps, schedule.batch, schedule.seed)
    saved = time.monotonic()
    model.train()
    for step in progress(range(first, schedule.steps), description):
        rate = rate_at(step, schedule)
        losses.append(train_step(model, optimizer, *examples.batch(order[step]), rate, bool(schedule.bf16)))
        if not math.isfinite(losses[-1]):
            raise ModelError(
                f"the loss is {losses[-1]} at step {step} of {schedule}; lower the learning rate. "
                f"The last good state, if there is one, is kept in {state}"
            )
        if time.monotonic() - saved > _SAVE_EVERY_S and step + 1 < schedule.steps:
            pretraining._save(model, optimizer, step + 1, losses, state)
            saved = time.monotonic()
    model.eval()
    return losses


def train_step(
    model: "PreTrainedModel",
    optimizer: "torch.optim.Optimizer",
    ids: "torch.Tensor",
    answers: "torch.Tensor",
    rate: float,
    bf16: bool,
) -> float:
    """Take one step and return the loss before it, in nats an answer token.

    Args:
        model: Trained in place.
        optimizer: Over the weights that are to change.
        ids: Token ids [items, T].
        answers: Which of them are to be predicted, [items, T].
        rate: Learning rate.
        bf16: Whether products are taken in bf16.
    """
    import torch

    for group in optimizer.param_groups:
        group["lr"] = rate
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        # The fillers stand last, so no token that counts attends to them and no mask is needed. The head is a fifth of
        # a small model's work: it is applied where an answer's token is predicted and nowhere else.
        hidden = model.base_model(input_ids=ids, use_cache=False).last_hidden_state
        logits = model.get_output_embeddings()(hidden[:, :-1][answers[:, 1:]])  # [answer tokens, vocabulary]
    loss = torch.nn.functional.cross_entropy(logits.float(), ids[answers])
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), _CLIP)
    optimizer.step()
    return loss.item()


def rate_at(step: int, schedule: Schedule) -> float:
    """Return the learning rate of a step, counted from 0."""
    warm = min(1.0, (step + 1) / schedule.warmup)
    return schedule.learning_rate * warm * 0.5 * (1 + math.cos(math.pi * step / schedule.steps))
