"""Calibration: what every layer's inputs are like, with everything before it already compressed.

    blocks = calibration_blocks(corpus.train, tokenizer, length=512, sequences=16)   # int32 [16, 512]

The paper takes 128 windows of 2,048 tokens of C4. Tokens go through the model one block at a time; only the hidden
states between two blocks are kept.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from lib.corpora import CorpusError, token_blocks
from lib.delta_come.errors import DeltaError

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_TOKENS_AT_ONCE = 8192
_WIDE = 1024  # from here on the lower half of X^T X is copied, not computed
_PANEL = 512

# What a block was called with: hidden states [sequences, T, width], and everything else.
_Call = tuple[torch.Tensor, dict[str, Any]]


def calibration_blocks(
    texts: "Dataset", tokenizer: "PreTrainedTokenizerBase", length: int, sequences: int
) -> torch.Tensor:
    """Return windows of tokens to calibrate on, int32 [sequences, length].

    Args:
        texts: Any data set with a column `text`; documents are laid end to end.
        tokenizer: The base's.
        length: Tokens in a window.
        sequences: Number of windows.

    Raises:
        DeltaError: The text is too short, or the tokenizer cannot read it.
    """
    try:
        return token_blocks(texts, tokenizer, length, blocks=sequences)
    except CorpusError as error:
        raise DeltaError(f"the calibration text is too short: {error}, or give more text") from error
    except Exception as error:  # the tokenizers' Rust core raises nothing narrower
        raise DeltaError(
            f"the tokenizer cannot read the calibration text ({error}); give text of the kind that the base reads"
        ) from error


class CalibrationInputs:
    """Hidden states on their way through the blocks of a model whose weights change meanwhile.

    Args:
        model: Of the Llama, Mistral or Qwen shape.
        blocks: Token ids, [sequences, T].

    Raises:
        DeltaError: The tokens are no such blocks, or not the model's.
    """

    def __init__(self, model: "PreTrainedModel", blocks: torch.Tensor) -> None:
        _check(model, blocks)
        self._calls = _calls_of_first_block(model, blocks)

    def hessian(self, block: nn.Module, linear: nn.Module) -> torch.Tensor:
        """Return H = 2 / N X^T X over all N inputs of one linear layer of the block, float32 [n, n].

        The mean runs over batches as they come, so that no sum grows large.
        """
        hessian, seen = None, 0

        def add(_linear: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
            nonlocal hessian, seen
            X = inputs[0].flatten(0, -2).float()
            new = seen + len(X)
            part = _gram(X).mul_(2 / new)
            hessian = part if hessian is None else hessian.mul_(seen / new).add_(part)
            seen = new
            raise _Seen

        handle = linear.register_forward_pre_hook(add)
        try:
            for hidden, rest in self._calls:
                _until_seen(lambda hidden=hidden, rest=rest: block(hidden, **rest))
        finally:
            handle.remove()
        return hessian

    def advance(self, block: nn.Module) -> None:
        """Replace the inputs of a block by its outputs."""
        self._calls = [(_hidden(block(hidden, **rest)), rest) for hidden, rest in self._calls]


class _Seen(Exception):
    """Ends a forward pass: what comes after is not needed."""


def _until_seen(run: Callable[[], Any]) -> None:
    try:
        run()
    except _Seen:
        return


def _calls_of_first_block(model: "PreTrainedModel", blocks: torch.Tensor) -> list[_Call]:
    calls: list[_Call] = []

    def keep(_block: nn.Module, positional: tuple[torch.Tensor, ...], named: dict[str, Any]) -> None:
        calls.append((positional[0] if positional else named.pop("hidden_states"), named))
        raise _Seen

    handle = model.model.layers[0].register_forward_pre_hook(keep, with_kwargs=True)
    try:
        for part in blocks.split(max(1, _TOKENS_AT_ONCE // blocks.shape[1])):
            _until_seen(lambda part=part: model(part.to(model.device).long(), use_cache=False))
    finally:
        handle.remove()
    return calls


def _gram(X: torch.Tensor) -> torch.Tensor:
    """Return X^T X; for wide inputs only panels on and above the diagonal are computed."""
    n = X.shape[1]
    if n < _WIDE:
        return X.T @ X
    gram = X.new_empty(n, n)
    for start in range(0, n, _PANEL):
        end = min(start + _PANEL, n)
        gram[start:end, start:] = X[:, start:end].T @ X[:, start:]
        gram[end:, start:end] = gram[start:end, end:].T
    return gram


def _hidden(output: "torch.Tensor | tuple[torch.Tensor, ...]") -> torch.Tensor:
    return output[0] if isinstance(output, tuple) else output


def _check(model: "PreTrainedModel", blocks: torch.Tensor) -> None:
    if blocks.ndim != 2 or blocks.shape[1] < 2 or blocks.is_floating_point() or not len(blocks):
        raise DeltaError(
            f"calibration tokens are whole numbers [sequences, at least 2 tokens], got {list(blocks.shape)} of "
            f"{blocks.dtype}; `calibration_blocks` makes them from text"
        )
    vocabulary = model.get_input_embeddings().num_embeddings
    if not 0 <= int(blocks.min()) <= int(blocks.max()) < vocabulary:
        raise DeltaError(
            f"calibration tokens run from {int(blocks.min())} to {int(blocks.max())}, and the model has {vocabulary}; "
            "were they made by another tokenizer?"
        )
    _check_masks(model, blocks.shape[1])


def _check_masks(model: "PreTrainedModel", window: int) -> None:
    """Refuse windows in which the first block's mask is not every block's."""
    kinds = set(getattr(model.config, "layer_types", None) or ())
    sliding = getattr(model.config, "sliding_window", None)
    if len(kinds) < 2 or (sliding and window <= sliding):
        return
    remedy = f"give windows of at most {sliding} tokens" if sliding else "take the quantiser 'rtn', which needs none"
    raise DeltaError(
        f"the model's blocks attend in different ways ({', '.join(sorted(kinds))}), which calibration windows of "
        f"{window} tokens would tell apart: {remedy}"
    )
