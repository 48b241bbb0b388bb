"""Text that a teacher writes itself, in the manner of LLM-QAT (section 4.1): training data where none is to be had.

A sequence starts with a random token of the vocabulary; the next 3 to 5 tokens are the most probable ones; the rest is
sampled from the teacher's distribution, until it ends the text or the sequence is full. The sequences are then laid end
to end, each between two end-of-text tokens, and cut into blocks, as the release does with its 132,000.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from lib.progress import progress

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_AT_ONCE = 64  # sequences


@dataclass(frozen=True)
class GenerationRecipe:
    """How a teacher writes.

    Attributes:
        sequences: How many; the paper has 132,000.
        longest: Tokens in a sequence at most; the paper has 2,048.
        greedy: Fewest and most tokens that are taken by probability alone, after the first.
        seed: Of first tokens and samples.
    """

    sequences: int
    longest: int = 128
    greedy: tuple[int, int] = (3, 5)
    seed: int = 0


def generate_blocks(
    teacher: "PreTrainedModel", tokenizer: "PreTrainedTokenizerBase", recipe: GenerationRecipe, length: int
) -> torch.Tensor:
    """Return what a teacher writes, cut into blocks, int32 [blocks, length].

    Args:
        teacher: On any device; sampled at temperature 1 from its full distribution.
        tokenizer: Its tokenizer; only the ids of its special tokens are used.
        recipe: How much, and the seed.
        length: Tokens in a block.

    Raises:
        ValueError: The sequences do not fill one block.
    """
    ends = tokenizer.eos_token_id
    stream: list[int] = []
    for sequence in generate_sequences(teacher, ends, recipe, set(tokenizer.all_special_ids)):
        stream += [ends, *sequence]
    stream.append(ends)
    blocks = len(stream) // length
    if not blocks:
        raise ValueError(f"{recipe.sequences} sequences gave {len(stream)} tokens, fewer than one block of {length}")
    return torch.tensor(stream[: blocks * length], dtype=torch.int32).view(blocks, length)


def generate_sequences(
    teacher: "PreTrainedModel", ends: int, recipe: GenerationRecipe, never_first: set[int]
) -> list[list[int]]:
    """Return the token ids of each sequence, without the end of text that may have ended it.

    Args:
        teacher: As above.
        ends: Id of the token that ends a text.
        recipe: How much, and the seed.
        never_first: Ids that no sequence starts with.
    """
    vocabulary = teacher.config.vocab_size
    allowed = torch.tensor([token for token in range(vocabulary) if token not in never_first])
    dice = torch.Generator().manual_seed(recipe.seed)
    first = allowed[torch.randint(0, len(allowed), (recipe.sequences,), generator=dice)]
    low, high = recipe.greedy
    greedy = torch.randint(low, high + 1, (recipe.sequences,), generator=dice)
    samples = torch.Generator(device=teacher.device).manual_seed(recipe.seed)
    sequences: list[list[int]] = []
    for start in progress(range(0, recipe.sequences, _AT_ONCE), "writing text"):
        part = slice(start, start + _AT_ONCE)
        written = _continue(teacher, first[part], greedy[part], ends, recipe.longest, samples)
        sequences += [_until(row, ends) for row in written.tolist()]
    return sequences


@torch.inference_mode()
def _continue(
    teacher: "PreTrainedModel",
    first: torch.Tensor,
    greedy: torch.Tensor,
    ends: int,
    longest: int,
    samples: torch.Generator,
) -> torch.Tensor:
    """Return sequences [sequences, longest or fewer]; after its end, a row holds the token that ends a text."""
    ids, greedy = first[:, None].to(teacher.device), greedy.to(teacher.device)
    done = torch.zeros(len(ids), dtype=torch.bool, device=teacher.device)
    last, cache = ids, None
    while ids.shape[1] < longest and not done.all():
        output = teacher(last, past_key_values=cache, use_cache=True)
        cache, logits = output.past_key_values, output.logits[:, -1].float()
        drawn = torch.multinomial(logits.softmax(-1), 1, generator=samples)
        likeliest = logits.argmax(-1, keepdim=True)
        last = torch.where((ids.shape[1] <= greedy)[:, None], likeliest, drawn)
        last[done] = ends
        done |= last[:, 0] == ends
        ids = torch.cat([ids, last], dim=1)
    return ids


def _until(row: list[int], ends: int) -> list[int]:
    return row[: row.index(ends)] if ends in row else row
