"""From items to batches: prompt, answer and end as tokens, items of like length together."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lib.models.errors import ModelError

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerBase

# So many batches are sorted by length at once: enough that padding is a few percent, and the order stays random.
_POOL = 16


@dataclass(frozen=True)
class Examples:
    """Items as tokens.

    Attributes:
        ids: Tokens of each item: prompt, answer, end.
        starts: Where each item's answer starts.
        filler: The token that fills up shorter items; it is never predicted and, standing last, never seen.
    """

    ids: tuple[tuple[int, ...], ...]
    starts: tuple[int, ...]
    filler: int

    def __len__(self) -> int:
        return len(self.ids)

    def batch(self, chosen: Sequence[int]) -> "tuple[torch.Tensor, torch.Tensor]":
        """Return tokens, int64 [items, longest], and which of them are an answer's, bool, of the same shape."""
        import torch

        longest = max(len(self.ids[number]) for number in chosen)
        ids = torch.full((len(chosen), longest), self.filler)
        answers = torch.zeros(len(chosen), longest, dtype=torch.bool)
        for row, number in enumerate(chosen):
            tokens = self.ids[number]
            ids[row, : len(tokens)] = torch.tensor(tokens)
            answers[row, max(1, self.starts[number]) : len(tokens)] = True  # a first token has nothing before it
        return ids, answers


def encode(items: Iterable[Mapping[str, Any]], tokenizer: "PreTrainedTokenizerBase") -> Examples:
    """Return items, with columns prompt and answer, as tokens.

    Raises:
        ModelError: The tokenizer has no end token, or there are no items.
    """
    if tokenizer.eos_token_id is None:
        raise ModelError(f"{type(tokenizer).__name__} has no end token, with which an answer would end")
    rows = list(items)
    if not rows:
        raise ModelError("no items to learn from or to measure on")
    prompts, answers = (token_ids(tokenizer, [row[column] for row in rows]) for column in ("prompt", "answer"))
    ids = tuple((*prompt, *answer, tokenizer.eos_token_id) for prompt, answer in zip(prompts, answers, strict=True))
    return Examples(ids, tuple(map(len, prompts)), tokenizer.eos_token_id)


def token_ids(tokenizer: "PreTrainedTokenizerBase", texts: list[str]) -> list[list[int]]:
    """Return the tokens of each text, without special ones."""
    return tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"]


def training_order(lengths: Sequence[int], steps: int, batch: int, seed: int) -> list[list[int]]:
    """Return the items of each step: a new random order each time round, items of like length together.

    Args:
        lengths: Tokens of each item.
        steps: How many batches.
        batch: Items in a batch; fewer where there are fewer.
        seed: Of the order. Steps are decided all at once, so that a resumed training goes on as it would have.
    """
    import torch

    generator, order = torch.Generator().manual_seed(seed), []
    batch = min(batch, len(lengths))
    while len(order) < steps:
        shuffled = torch.randperm(len(lengths), generator=generator).tolist()
        shuffled = shuffled[: len(shuffled) // batch * batch]
        for start in range(0, len(shuffled), _POOL * batch):
            pool = sorted(shuffled[start : start + _POOL * batch], key=lambda number: lengths[number])
            batches = [pool[at : at + batch] for at in range(0, len(pool), batch)]
            order += [batches[at] for at in torch.randperm(len(batches), generator=generator).tolist()]
    return order[:steps]
