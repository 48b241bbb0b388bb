"""What a model answers: batched greedy decoding, judged item by item.

    score = score_answers(pair.finetuned.model, pair.finetuned.tokenizer, "chains", pair.task.test)
    score.accuracy, score.correct, score.answers

A batch is filled up on the left, so that all rows end where they go on; rows that have ended leave it. In exact
arithmetic a row's answer does not depend on its neighbours.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lib.corpora import tasks
from lib.models.finetuning.examples import token_ids
from lib.progress import progress

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_AT_ONCE = 64


@dataclass(frozen=True)
class AnswerScore:
    """What a model answered to a task's items.

    Attributes:
        task: The task's name.
        answers: What it wrote, one text an item.
        correct: Whether each is right.
        style: How far each keeps to the form, 0 to 1.
    """

    task: str
    answers: tuple[str, ...] = field(repr=False)
    correct: tuple[bool, ...] = field(repr=False)
    style: tuple[float, ...] = field(repr=False)

    @property
    def accuracy(self) -> float:
        """Share of right answers."""
        return sum(self.correct) / len(self.correct)

    @property
    def mean_style(self) -> float:
        """Mean style."""
        return sum(self.style) / len(self.style)

    def __repr__(self) -> str:
        right = f"{sum(self.correct)} of {len(self.correct)} right"
        return f"AnswerScore({self.task}: {right}, {self.accuracy:.3f}; style {self.mean_style:.3f})"


def score_answers(
    model: "PreTrainedModel",
    tokenizer: "PreTrainedTokenizerBase",
    task: str,
    items: Sequence[Mapping[str, Any]],
    batch: int = _AT_ONCE,
) -> AnswerScore:
    """Return how a model answers a task's items, by greedy decoding.

    Args:
        model: Any causal language model, in its own dtype; its training mode is left as it was.
        tokenizer: Its tokenizer.
        task: One of `lib.corpora.tasks.TASKS`.
        items: Items of that task.
        batch: Items decoded at once.
    """
    rows = list(items)
    answers = answer(model, tokenizer, [row["prompt"] for row in rows], tasks.TASKS[task].new_tokens, batch)
    correct = tuple(tasks.is_correct(task, row, text) for row, text in zip(rows, answers, strict=True))
    return AnswerScore(task, tuple(answers), correct, tuple(tasks.style_score(task, text) for text in answers))


def answer(
    model: "PreTrainedModel",
    tokenizer: "PreTrainedTokenizerBase",
    prompts: Sequence[str],
    new_tokens: int,
    batch: int = _AT_ONCE,
) -> list[str]:
    """Return what a model writes after each prompt, greedily, up to its end token or `new_tokens` tokens.

    Raises:
        ValueError: A prompt is empty.
    """
    import torch

    encoded = token_ids(tokenizer, list(prompts))
    if not all(encoded):
        raise ValueError(f"prompt {[bool(ids) for ids in encoded].index(False)} is empty: nothing to go on from")
    by_length = sorted(range(len(encoded)), key=lambda number: len(encoded[number]))  # little to fill up
    answers: list[str] = [""] * len(encoded)
    training = model.training
    model.eval()
    with torch.inference_mode():
        for start in progress(range(0, len(by_length), batch), "answering"):
            chosen = by_length[start : start + batch]
            written = _greedy(model, [encoded[number] for number in chosen], tokenizer.eos_token_id, new_tokens)
            for number, ids in zip(chosen, written, strict=True):
                answers[number] = tokenizer.decode(ids, skip_special_tokens=False)
    model.train(training)
    return answers


def _greedy(model: "PreTrainedModel", prompts: list[list[int]], end: int, new_tokens: int) -> list[list[int]]:
    import torch
    from transformers import DynamicCache

    ids, mask = _filled_on_the_left(prompts, end, model.device)
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    cache, rows = DynamicCache(config=model.config), torch.arange(len(prompts), device=model.device)
    written: list[list[int]] = [[] for _ in prompts]
    for _ in range(new_tokens):
        logits = model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        ).logits
        chosen = logits[:, -1].argmax(-1)
        going_on = chosen != end
        for row, token in zip(rows[going_on].tolist(), chosen[going_on].tolist(), strict=True):
            written[row].append(token)
        if not going_on.any():
            break
        if not going_on.all():
            kept = going_on.nonzero()[:, 0]
            cache.batch_select_indices(kept)
            chosen, mask, positions, rows = chosen[kept], mask[kept], positions[kept], rows[kept]
        ids, positions = chosen[:, None], positions[:, -1:] + 1
        mask = torch.cat([mask, mask.new_ones(len(mask), 1)], dim=1)
    return written


def _filled_on_the_left(
    prompts: list[list[int]], filler: int, device: "torch.device"
) -> "tuple[torch.Tensor, torch.Tensor]":
    """Return tokens and mask, int64 [prompts, longest]."""
    import torch

    longest = max(map(len, prompts))
    ids = torch.tensor([[filler] * (longest - len(prompt)) + prompt for prompt in prompts], device=device)
    mask = torch.tensor([[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts], device=device)
    return ids, mask
