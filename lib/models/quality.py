"""How well a causal language model predicts held-out blocks of tokens."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

_AT_ONCE = 16  # sequences


@dataclass(frozen=True)
class Quality:
    """Two measures over the same predicted tokens.

    Attributes:
        perplexity: exp of the mean negative log-likelihood, in nats a token.
        accuracy: Share of tokens that were the most probable one.
        tokens: Number of predicted tokens.
    """

    perplexity: float
    accuracy: float
    tokens: int

    def __repr__(self) -> str:
        return f"Quality(perplexity {self.perplexity:.4g}, accuracy {self.accuracy:.4g}, {self.tokens} tokens)"


def measure_quality(model: "PreTrainedModel", blocks: "torch.Tensor") -> Quality:
    """Return how well a model predicts each block's tokens 2 to T from those before it in the block.

    PPL = exp(-1/N * sum log p(x_t | x_1 ... x_{t-1})) over all N = blocks * (T - 1) predicted tokens. The model's first
    token in a block has no context and is given, not predicted; nothing is carried from block to block. Logits are
    taken in fp32. A model that yields NaN has perplexity NaN.

    Args:
        model: Any causal language model, on any device; its training mode is left as it was.
        blocks: Token ids, [blocks, T].
    """
    import torch

    training, total, hits = model.training, 0.0, 0
    model.eval()
    with torch.inference_mode():
        for part in blocks.split(_AT_ONCE):
            ids = part.to(model.device).long()
            logits = model(ids).logits[:, :-1].float()  # [sequences, T-1, vocabulary]
            targets = ids[:, 1:]
            total += (
                torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none")
                .double()
                .sum()
                .item()
            )
            hits += int((logits.argmax(-1) == targets).sum())
    model.train(training)
    tokens = blocks.shape[0] * (blocks.shape[1] - 1)
    mean = total / tokens
    return Quality(math.inf if mean > 700 else math.exp(mean), hits / tokens, tokens)
