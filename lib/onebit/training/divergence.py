"""When a training has gone wrong, and where."""

import math
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from transformers import PreTrainedModel

# A training has diverged when its mean loss over so many steps is so many times that of its first steps.
_WINDOW = 20
_FACTOR = 2.0


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
    """Remembers losses and tells when they have grown beyond what can be noise."""

    def __init__(self) -> None:
        self._first: list[float] = []
        self._last: list[float] = []

    def fault(self, loss: float) -> str | None:
        """Take a step's loss and return what is wrong, or None."""
        if not math.isfinite(loss):
            return f"the loss is {loss}"
        if len(self._first) < _WINDOW:
            self._first.append(loss)
            return None
        self._last = [*self._last[1 - _WINDOW :], loss]
        before, now = sum(self._first) / _WINDOW, sum(self._last) / len(self._last)
        if len(self._last) == _WINDOW and now > _FACTOR * before:
            return f"the loss over the last {_WINDOW} steps is {now:.4g}, over the first {_WINDOW} it was {before:.4g}"
        return None


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
