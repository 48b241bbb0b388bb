"""LoRA (Hu et al., ICLR 2022) of the same bytes: nothing is compressed, only so much is trained.

    W = W_b + (alpha / r) B A,   B [m, r] starts at 0, A [r, n] at random; W_b, norms and embeddings stay the base's

The layers are those of `peft`. Each projection has as many ranks as fp16 low rank gets from the same budget; what is
stored is B alpha / r and A in fp16. With alpha = r the step size is all in the learning rate, which is to be tuned.
"""

import copy
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from lib.delta_come.baselines.low_rank import LowRankMatrix
from lib.delta_come.baselines.stored import StoredDelta
from lib.delta_come.errors import DeltaError
from lib.models.finetuning import Schedule, training
from lib.models.finetuning.examples import encode, training_order
from lib.progress import progress

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from lib.models import LoadedModel

_ADAPTER = "default"


@dataclass(frozen=True)
class TrainedLora:
    """What came of a training.

    Attributes:
        stored: The deltas, in fp16.
        losses: Of each step, in nats an answer token.
    """

    stored: StoredDelta
    losses: tuple[float, ...]


def train_lora(
    base: "LoadedModel",
    items: Iterable[Mapping[str, Any]],
    ranks: Mapping[str, int],
    schedule: Schedule,
    name: str = "lora",
) -> TrainedLora:
    """Train LoRAs of a base's projections on answers, as `lib.models.finetuning` trains all weights.

    Args:
        base: Left as it is.
        items: With columns prompt and answer: those that the full fine-tune saw.
        ranks: Ranks by the weight's name.
        schedule: Steps, batch, order and rates; those of the full fine-tune but for the learning rate.
        name: Of the result.

    Raises:
        DeltaError: peft is not installed, or the loss is not a number any more.
    """
    model = _with_adapters(base.model, ranks, schedule.seed)
    examples = encode(items, base.tokenizer)
    order = training_order([len(ids) for ids in examples.ids], schedule.steps, schedule.batch, schedule.seed)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, betas=training.BETAS, weight_decay=schedule.weight_decay, fused=True)
    losses = []
    model.train()
    for step in progress(range(schedule.steps), "training a LoRA"):
        rate = training.rate_at(step, schedule)
        losses.append(training.train_step(model, optimizer, *examples.batch(order[step]), rate, bool(schedule.bf16)))
        if not math.isfinite(losses[-1]):
            raise DeltaError(f"the loss of the LoRA is {losses[-1]} at step {step}; lower the learning rate {rate:g}")
    return TrainedLora(_stored(model, name), tuple(losses))


def _with_adapters(base: "PreTrainedModel", ranks: Mapping[str, int], seed: int) -> "PreTrainedModel":
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError as error:
        raise DeltaError("LoRA needs the package peft: pip install peft") from error
    names = {weight.removesuffix(".weight"): count for weight, count in ranks.items()}
    pattern = {re.escape(name): count for name, count in names.items()}
    config = LoraConfig(
        r=max(names.values()),
        target_modules=list(names),
        rank_pattern=pattern,
        alpha_pattern=dict(pattern),
        lora_alpha=max(names.values()),
        lora_dropout=0.0,
        bias="none",
    )
    with torch.random.fork_rng(devices=[]):  # A is drawn
        torch.manual_seed(seed)
        return inject_adapter_in_model(config, copy.deepcopy(base), adapter_name=_ADAPTER)


def _stored(model: "PreTrainedModel", name: str) -> StoredDelta:
    matrices = {}
    for layer, module in model.named_modules():
        if not hasattr(module, "lora_A"):
            continue
        A, B = module.lora_A[_ADAPTER].weight.detach(), module.lora_B[_ADAPTER].weight.detach()
        scaled = (B * module.scaling[_ADAPTER]).half()
        matrices[f"{layer}.weight"] = LowRankMatrix(f"{layer}.weight", scaled, A.half())
    return StoredDelta(name, matrices)
