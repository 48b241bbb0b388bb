"""How long and how fast a student is distilled; the released settings by name."""

import math
from dataclasses import dataclass, field

from lib.onebit.training.losses import LossWeights, released_weights


@dataclass(frozen=True)
class DistillationRecipe:
    """Optimiser, schedule and loss of a distillation. AdamW, linear warm-up, cosine down to 0.

    Attributes:
        steps: Optimiser steps.
        batch: Sequences in a step, on each device, and in each of the `accumulation` parts.
        accumulation: Parts that a step's gradient is summed from; for batches that do not fit in memory.
        learning_rate: Peak.
        warmup: Steps of the warm-up.
        betas: AdamW's.
        weight_decay: AdamW's, on latents and value vectors; the release has 0.01.
        clip: Largest norm of the gradient; 0: not clipped.
        weights: Of the loss.
        bf16: Products in bfloat16 (autocast), weights in fp32.
        gradient_checkpointing: Keep only each block's input and compute the rest again: less memory, a third more time.
        seed: Of the order of the text.
        log_every: Steps that a row of the history averages over.
        save_every: Steps between checkpoints, where a folder for them is given; 0: none.
    """

    steps: int
    batch: int = 16
    accumulation: int = 1
    learning_rate: float = 1e-3
    warmup: int = 0
    betas: tuple[float, float] = (0.9, 0.98)
    weight_decay: float = 0.01
    clip: float = 1.0
    weights: LossWeights = field(default_factory=LossWeights)
    bf16: bool = False
    gradient_checkpointing: bool = False
    seed: int = 0
    log_every: int = 10
    save_every: int = 0

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "accumulation", "log_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"a distillation's {name} is 1 or more, got {getattr(self, name)}")
        for name in ("warmup", "weight_decay", "clip", "save_every"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"a distillation's {name} is 0 or more, got {getattr(self, name)}")
        if not 0 < self.learning_rate < math.inf:
            raise ValueError(f"the learning rate is above 0, got {self.learning_rate}")

    def tokens(self, length: int, devices: int = 1) -> int:
        """Return the number of tokens that the student sees at a sequence length."""
        return self.steps * self.batch * self.accumulation * devices * length


@dataclass(frozen=True)
class ReleasedSetting:
    """One row of the paper's Table 1 and of the release's scripts.

    Attributes:
        learning_rate: Peak.
        batch: Sequences a device and part.
        accumulation: Parts a step.
        devices: A100s.
    """

    learning_rate: float
    batch: int
    accumulation: int
    devices: int


# Scripts exist for LLaMA and LLaMA2 only; OPT has learning rates in Table 1 (4e-4, 2e-4) and no batch.
RELEASED: dict[str, ReleasedSetting] = {
    "llama-7b": ReleasedSetting(4e-4, 4, 4, 8),
    "llama-13b": ReleasedSetting(2e-4, 2, 2, 16),
    "llama2-7b": ReleasedSetting(1e-4, 4, 4, 8),
    "llama2-13b": ReleasedSetting(2e-4, 2, 2, 16),
}
RELEASED_EPOCHS = 50
RELEASED_LENGTH = 2048
_RELEASED_WARMUP = 500


def released_recipe(model: str, blocks: int, devices: int | None = None) -> DistillationRecipe:
    """Return the release's settings for a model: its rates, loss constants, 500 steps of warm-up, 50 epochs.

    The release trains in fp16 with loss scaling; here it is bf16, which has fp32's range.

    Args:
        model: One of RELEASED.
        blocks: Sequences of 2,048 tokens in the training text; with the batch they give the number of steps.
        devices: How many there are; fewer than the release had are made up for by accumulation.

    Raises:
        ValueError: The model is not in RELEASED, or the devices do not divide its batch.
    """
    if model not in RELEASED:
        raise ValueError(f"the release has no setting for {model!r}; there are: {', '.join(RELEASED)}")
    setting = RELEASED[model]
    devices = devices or setting.devices
    parts = setting.accumulation * setting.devices
    if parts % devices:
        raise ValueError(f"{devices} devices do not divide {model}'s {parts} parts of {setting.batch} sequences a step")
    return DistillationRecipe(
        steps=max(1, RELEASED_EPOCHS * blocks // (parts * setting.batch)),
        batch=setting.batch,
        accumulation=parts // devices,
        learning_rate=setting.learning_rate,
        warmup=_RELEASED_WARMUP,
        weights=released_weights(RELEASED_LENGTH),
        bf16=True,
        gradient_checkpointing=True,
        save_every=500,
    )
