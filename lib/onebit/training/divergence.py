"""When a training has gone wrong, and where."""

import math
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from transformers import PreTrainedModel

# A training has diverged when its mean loss over so many steps is so many times that of its first step. Not sooner:
# latents of one size cross zero together, about size / rate steps after the start, and the loss then leaps to several
# times its minimum, with a start near the teacher beyond its first value too, and comes back.
_WINDOW = 20
_FACTOR = 4.0
# A smaller rise, above the first step's loss or the lowest window's, counts when it lasts.
_RISE_ABOVE_FIRST = 2.0
_RISE_ABOVE_LOWEST = 4.0
_PATIENCE = 200


class DivergedError(RuntimeError):
    """A training went wrong and was stopped.

    Attributes:
        step: Optimiser steps that were taken.
        checkpoint: The last good checkpoint, or None where none was saved.
    """

    def __init__(self, what: str, step: int, checkpoint: Path | None) -> None:
        kept = f"the last good checkpoint is {checkpoint}" if checkpoint else "no checkpoint had been saved"
        super().__init__(
            f"training diverged after {step} steps: {what}; {kept}. "
            "Lower the learning rate, warm up longer, or use fp32 or bf16 in place of fp16"
        )
        self.step = step
        self.checkpoint = checkpoint


class LossWatch:
    """Remembers the losses of steps and tells when they have grown beyond what can be noise, or a hump.

    Attributes:
        first: Loss of the first step, None before there was one. After an interruption: the loss to start from.
    """

    def __init__(self) -> None:
        self.first: float | None = None
        self._last: list[float] = []
        self._lowest = math.inf  # of the means over whole windows
        self._risen = 0  # steps since the mean was last near the lowest

    def fault(self, loss: float) -> str | None:
        """Take a step's loss, a mean over all of its parts, and return what is wrong, or None."""
        if not math.isfinite(loss):
            return f"the loss is {loss}"
        if self.first is None:
            self.first = loss
        self._last = [*self._last[1 - _WINDOW :], loss]
        if len(self._last) < _WINDOW:
            return None
        now = self._mean
        self._lowest = min(self._lowest, now)
        self._risen = self._risen + 1 if now > self._limit else 0
        says = f"the loss over the last {_WINDOW} steps is {now:.4g}, at the first step it was {self.first:.4g}"
        if now > _FACTOR * self.first:
            return says
        if self._risen >= _PATIENCE:
            return f"{says} and at its lowest {self._lowest:.4g}, and it has not come back for {_PATIENCE} steps"
        return None

    @property
    def suspicious(self) -> bool:
        """Whether the last steps could turn out to belong to a divergence, so that they make no good checkpoint."""
        if not self._last:
            return False
        return max(self._last[-1], self._mean) > self._limit

    @property
    def _limit(self) -> float:
        return min(_RISE_ABOVE_FIRST * self.first, _RISE_ABOVE_LOWEST * self._lowest)

    @property
    def _mean(self) -> float:
        return sum(self._last) / len(self._last)


def first_broken_tensor(model: "PreTrainedModel", ids: torch.Tensor) -> str:
    """Return the name of the first parameter, or else the first layer's output, that holds NaN or infinity.

    Runs the model once more with a look at every layer.

    Args:
        model: The model whose loss is not a number.
        ids: The tokens at which it happened, [batch, T].
    """
    for name, parameter in model.named_parameters():
        if not parameter.isfinite().all():
            return f"the parameter {name}"
    found: list[str] = []

    def look(name: str, output: torch.Tensor) -> None:
        if not found and not output.isfinite().all():
            found.append(f"the output of {name} ({str(output.dtype).removeprefix('torch.')})")

    handles = [
        module.register_forward_hook(lambda _module, _inputs, output, name=name: look(name, _tensor(output)))
        for name, module in model.named_modules()
        if not _has_children(module)
    ]
    try:
        with torch.no_grad():
            model(ids, use_cache=False)
    finally:
        for handle in handles:
            handle.remove()
    return found[0] if found else "the loss itself, or the teacher's outputs"


def _tensor(output: object) -> torch.Tensor:
    first = output[0] if isinstance(output, tuple) else output
    return first if isinstance(first, torch.Tensor) else torch.zeros(())


def _has_children(module: nn.Module) -> bool:
    return next(module.children(), None) is not None
