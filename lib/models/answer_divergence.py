"""How far a model's next-token distribution is from a reference's, on a task's answers.

    reference = answer_states(finetuned.model, finetuned.tokenizer, task.test)     # once
    divergence = answer_divergence(reference, compressed)                          # for each model
    divergence.mean                                                                # nats an answer token

KL(p || q) = sum_v p(v) (log p(v) - log q(v)), p the reference's distribution and q the model's, both given the prompt
and the answer's tokens so far; the mean is over all answer tokens of all items, the end included.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lib.models.finetuning.examples import encode
from lib.progress import progress

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_AT_ONCE = 32


@dataclass(frozen=True)
class Divergence:
    """KL to the reference.

    Attributes:
        per_item: Mean over each item's answer tokens, in nats, in the order of the items.
        tokens: Answer tokens of each item.
    """

    per_item: tuple[float, ...] = field(repr=False)
    tokens: tuple[int, ...] = field(repr=False)

    @property
    def mean(self) -> float:
        """Mean over all answer tokens, in nats."""
        total = sum(mean * count for mean, count in zip(self.per_item, self.tokens, strict=True))
        return total / sum(self.tokens)

    def __repr__(self) -> str:
        return f"Divergence({self.mean:.4g} nats a token, {len(self.tokens)} items, {sum(self.tokens)} tokens)"


@dataclass(frozen=True)
class AnswerStates:
    """A reference's hidden states before its head, where it predicts the tokens of answers.

    They are some hundred times smaller than its distributions; the head is applied again when they are compared.

    Attributes:
        batches: Item numbers; tokens [items, T]; which are an answer's; hidden states [answer tokens, width].
        head: The reference's head.
    """

    batches: "tuple[tuple[list[int], torch.Tensor, torch.Tensor, torch.Tensor], ...]" = field(repr=False)
    head: "torch.nn.Module" = field(repr=False)


def answer_states(
    model: "PreTrainedModel",
    tokenizer: "PreTrainedTokenizerBase",
    items: Sequence[Mapping[str, Any]],
    batch: int = _AT_ONCE,
) -> AnswerStates:
    """Return a reference's states on items with columns prompt and answer.

    Raises:
        ModelError: There are no items, or the tokenizer has no end token.
    """
    import torch

    examples = encode(items, tokenizer)
    by_length = sorted(range(len(examples)), key=lambda number: len(examples.ids[number]))
    batches = []
    with torch.inference_mode():
        for start in progress(range(0, len(by_length), batch), "reading answers"):
            chosen = by_length[start : start + batch]
            ids, answers = examples.batch(chosen)
            batches.append((chosen, ids, answers, _states(model, ids, answers)))
    return AnswerStates(tuple(batches), model.get_output_embeddings())


def answer_divergence(reference: AnswerStates, model: "PreTrainedModel") -> Divergence:
    """Return how far a model is from a reference on the reference's items. Both share a vocabulary."""
    import torch

    means: dict[int, tuple[float, int]] = {}
    with torch.inference_mode():
        for chosen, ids, answers, states in progress(reference.batches, "comparing answers"):
            log_p = reference.head(states).float().log_softmax(-1)
            log_q = model.get_output_embeddings()(_states(model, ids, answers)).float().log_softmax(-1)
            divergence = (log_p.exp() * (log_p - log_q)).sum(-1).double().cpu()  # [answer tokens]
            counts = answers.sum(1).tolist()
            for number, part in zip(chosen, divergence.split(counts), strict=True):
                means[number] = (part.mean().item(), len(part))
    per_item, tokens = zip(*(means[number] for number in sorted(means)), strict=True)
    return Divergence(per_item, tokens)


def _states(model: "PreTrainedModel", ids: "torch.Tensor", answers: "torch.Tensor") -> "torch.Tensor":
    """Return the hidden states that predict the marked tokens, [answer tokens, width], row by row."""
    hidden = model.base_model(input_ids=ids.to(model.device), use_cache=False).last_hidden_state
    return hidden[:, :-1][answers[:, 1:].to(model.device)]
