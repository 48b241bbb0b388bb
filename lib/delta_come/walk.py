"""One model in memory that turns from the fine-tune into base + compressed delta, block by block.

It starts as the fine-tune, so that norms, embeddings, biases and rotary settings are those that will be served.
"""

import copy
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import nn

from lib.delta_come.calibration import CalibrationInputs
from lib.delta_come.checkpoint import EMBEDDING, HEAD, Source
from lib.delta_come.delta import Pair, with_rows_of
from lib.delta_come.factors import CompressedMatrix
from lib.delta_come.options import CompressOptions
from lib.models import LoadedModel, load

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class Walk:
    """A model on its way from the fine-tune to base + compressed delta, with the inputs of the block it is at.

    Args:
        pair: The base and the fine-tune.
        model: From `working_copy`; its weights are changed.
        calibration: Token blocks.
    """

    def __init__(self, pair: Pair, model: "PreTrainedModel", calibration: torch.Tensor) -> None:
        self._pair = pair
        self._inputs = CalibrationInputs(model, calibration)
        self._linears = dict(model.named_modules())
        self._blocks = iter(model.model.layers)
        self._block = next(self._blocks)

    def linear(self, name: str) -> nn.Linear:
        """Return the layer of a weight's name."""
        return self._linears[name.removesuffix(".weight")]

    def hessian(self, name: str) -> torch.Tensor:
        """Return H of the inputs of a weight's layer."""
        return self._inputs.hessian(self._block, self.linear(name))

    def set(self, name: str, delta: torch.Tensor) -> None:
        """Make a weight base + delta."""
        self.linear(name).weight.copy_(self._pair.base.weights[name].float() + delta)

    def advance(self) -> None:
        """Send the calibration data through the block as it is now."""
        self._inputs.advance(self._block)

    def replay(self, done: Mapping[str, CompressedMatrix], group_by_group: bool) -> None:
        """Send the data through a block that was finished earlier, as they went when it was.

        Args:
            done: The block's matrices.
            group_by_group: Whether the data passed it after every bit group.
        """
        groups = max(1, *(len(matrix.groups) for matrix in done.values())) if group_by_group else 1
        for number in range(groups):
            for name, matrix in done.items():
                part = replace(matrix, groups=matrix.groups[: number + 1]) if group_by_group else matrix
                self.set(name, part.delta())
            self.advance()

    def go_to_next_block(self) -> None:
        """Leave a block for good."""
        self._block = next(self._blocks, self._block)


def working_copy(pair: Pair, finetuned: Source, options: CompressOptions) -> "PreTrainedModel":
    """Return a model of one's own, fp32, that is the fine-tune at first (with the base's embedding, if shared).

    Args:
        pair: The base and the fine-tune.
        finetuned: The source that `take_pair` was given; a model is copied.
        options: Whether embeddings are shared.
    """
    if isinstance(finetuned, LoadedModel):
        finetuned = finetuned.model
    model = copy.deepcopy(finetuned) if isinstance(finetuned, nn.Module) else load(finetuned).model
    if options.shared_embeddings:
        for layer, name in ((model.get_input_embeddings(), EMBEDDING), (model.get_output_embeddings(), HEAD)):
            if name in pair.base.weights:
                layer.weight.copy_(with_rows_of(pair.base.weights[name], layer.weight))
    return model.float().eval()
