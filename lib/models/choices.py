"""Choosing the true continuation of a text among false ones: a zero-shot task made of nothing but held-out text.

In the manner of HellaSwag: a context, its own next tokens, and distractors cut from elsewhere in the same text; the
model chooses the one with the highest mean log-likelihood a token. With three distractors chance is 25 %.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

_AT_ONCE = 16  # questions


@dataclass(frozen=True)
class ChoiceTask:
    """Questions with one right answer each.

    Attributes:
        contexts: Token ids, [questions, context].
        choices: Token ids, [questions, choices, continuation].
        answers: Which choice is the true one, [questions].
    """

    contexts: "torch.Tensor"
    choices: "torch.Tensor"
    answers: "torch.Tensor"

    def __repr__(self) -> str:
        questions, choices, length = self.choices.shape
        return f"ChoiceTask({questions} questions, {choices} choices of {length} tokens)"


def choice_task(blocks: "torch.Tensor", continuation: int = 16, distractors: int = 3, seed: int = 0) -> ChoiceTask:
    """Return one question a block: its last tokens are the answer, those of other blocks the distractors.

    Args:
        blocks: Token ids, [blocks, T], of held-out text.
        continuation: Tokens in a choice; the context is the T - continuation tokens before.
        distractors: False choices a question.
        seed: Of the distractors and of the place of the answer.

    Raises:
        ValueError: There are too few blocks or tokens.
    """
    import torch

    questions, length = blocks.shape
    if questions <= distractors or length <= continuation:
        raise ValueError(
            f"{questions} blocks of {length} tokens leave no {distractors} distractors or no context before "
            f"{continuation} tokens"
        )
    dice = torch.Generator().manual_seed(seed)
    endings = blocks[:, -continuation:]
    # Distractors are the endings of the blocks 1 to questions - 1 places further on, a different draw for each block.
    offsets = torch.stack([torch.randperm(questions - 1, generator=dice)[:distractors] + 1 for _ in range(questions)])
    others = (torch.arange(questions)[:, None] + offsets) % questions
    answers = torch.randint(0, distractors + 1, (questions,), generator=dice)
    order = torch.cat([torch.arange(questions)[:, None], others], dim=1)
    rows = torch.arange(questions)
    order[rows, 0], order[rows, answers] = order[rows, answers].clone(), order[rows, 0].clone()
    return ChoiceTask(blocks[:, :-continuation], endings[order], answers)


def choose(model: "PreTrainedModel", task: ChoiceTask) -> "torch.Tensor":
    """Return which choice a model takes for each question, [questions]."""
    import torch

    scores = []
    with torch.inference_mode():
        for contexts, choices in zip(task.contexts.split(_AT_ONCE), task.choices.split(_AT_ONCE), strict=True):
            scores.append(_likelihoods(model, contexts.to(model.device).long(), choices.to(model.device).long()).cpu())
    return torch.cat(scores).argmax(-1)


def _likelihoods(model: "PreTrainedModel", contexts: "torch.Tensor", choices: "torch.Tensor") -> "torch.Tensor":
    """Return the mean log-likelihood a token of each choice, [questions, choices].

    A context is read once for all of its choices: with 112 tokens before 4 times 16, a third of the work.
    """
    import torch

    count, endings = choices.shape[1], choices.flatten(0, 1)  # [questions * choices, continuation]
    read = model(contexts, use_cache=True, logits_to_keep=1)
    first = read.logits[:, -1:].repeat_interleave(count, 0)
    cache = read.past_key_values
    cache.batch_repeat_interleave(count)
    rest = model(endings, past_key_values=cache, use_cache=True).logits[:, :-1]
    likelihoods = torch.cat([first, rest], 1).float().log_softmax(-1).gather(-1, endings[..., None])
    return likelihoods.mean(dim=(1, 2)).view(-1, count)


def choice_accuracy(model: "PreTrainedModel", task: ChoiceTask) -> float:
    """Return the share of questions that a model answers rightly, 0 to 1."""
    return (choose(model, task) == task.answers).float().mean().item()
