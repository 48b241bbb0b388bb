"""From text to blocks of tokens: a byte-level BPE vocabulary, and documents laid end to end and cut.

Byte-level: every text can be written, nothing is unknown, and decoding gives back the text exactly.
"""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from lib import artifacts
from lib.checkout import Checkout
from lib.corpora.corpus import Corpus
from lib.corpora.errors import CorpusError

if TYPE_CHECKING:
    import torch
    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase

END_OF_TEXT = "<|endoftext|>"  # ends a document, and stands before the first token where a model starts from nothing

# More text changes few merges of a vocabulary of some thousands, and costs a second a megabyte.
_TRAINING_CHARACTERS = 8_000_000
_ENCODED_AT_ONCE = 500
_SMALLEST = 256 + 1  # the bytes and the end of text


def tokenizer_folder(corpus: Corpus, vocabulary: int, checkout: Checkout = Checkout()) -> Path:
    """Return the folder of a byte-level BPE tokenizer trained on a corpus' training split, made on first use.

    `AutoTokenizer.from_pretrained` reads it.

    Args:
        corpus: Where the text comes from: the first 8 M characters of its training split.
        vocabulary: Number of tokens: 256 bytes, the end of text, and merges.
        checkout: The tree whose artifact store keeps it.

    Raises:
        CorpusError: The vocabulary is smaller than the bytes.
    """
    if vocabulary < _SMALLEST:
        raise CorpusError(f"a byte-level vocabulary has at least {_SMALLEST} tokens, got {vocabulary}")
    recipe = {"version": 1, "corpus": corpus.manifest.sha256, "vocabulary": vocabulary}
    recipe["characters"] = _TRAINING_CHARACTERS

    def make(folder: Path) -> None:
        _train(corpus.train, vocabulary).save_pretrained(folder)

    return artifacts.store("tokenizer", recipe, make, checkout)


def load_tokenizer(folder: Path) -> "PreTrainedTokenizerBase":
    """Return the tokenizer that lies in a folder."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder, trust_remote_code=False, local_files_only=True)


def token_blocks(
    texts: "Dataset",
    tokenizer: "PreTrainedTokenizerBase",
    length: int,
    blocks: int | None = None,
    at_most: int | None = None,
) -> "torch.Tensor":
    """Return documents, each followed by the end of text, laid end to end and cut into blocks; int32 [blocks, length].

    The last, incomplete block is dropped. Documents are taken in their order, no more than the blocks need.

    Args:
        texts: A split of a corpus, or any data set with a column `text`.
        tokenizer: Any tokenizer with an end-of-text token.
        length: Tokens in a block.
        blocks: How many blocks; all that there are where it is None.
        at_most: As `blocks`, but fewer are no error.

    Raises:
        CorpusError: The texts do not fill that many blocks (or one), or the tokenizer has no end of text.
    """
    import torch

    if tokenizer.eos_token_id is None:
        raise CorpusError(f"{type(tokenizer).__name__} has no end-of-text token to put between documents")
    limit = min((count for count in (blocks, at_most) if count is not None), default=math.inf)
    ids: list[int] = []
    for document in _encoded(texts, tokenizer):
        ids += document
        if len(ids) >= limit * length:
            break
    whole, needed = int(min(len(ids) // length, limit)), blocks or 1
    if whole < needed:
        raise CorpusError(
            f"the texts have {len(ids)} tokens, fewer than {needed} blocks of {length}; take fewer blocks"
        )
    return torch.tensor(ids[: whole * length], dtype=torch.int32).view(whole, length)


def _encoded(texts: "Dataset", tokenizer: "PreTrainedTokenizerBase") -> Iterator[list[int]]:
    for start in range(0, len(texts), _ENCODED_AT_ONCE):
        part = texts[start : start + _ENCODED_AT_ONCE]["text"]
        # verbose=False: documents may be longer than a model's context; they are cut here.
        for ids in tokenizer(part, add_special_tokens=False, verbose=False)["input_ids"]:
            yield [*ids, tokenizer.eos_token_id]


def _train(texts: "Dataset", vocabulary: int) -> "PreTrainedTokenizerBase":
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_first_characters(texts), trainer)
    if tokenizer.get_vocab_size() != vocabulary:
        raise CorpusError(
            f"the text holds merges for {tokenizer.get_vocab_size()} tokens only, wanted {vocabulary}; "
            "take a smaller vocabulary or more text"
        )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=END_OF_TEXT, eos_token=END_OF_TEXT, clean_up_tokenization_spaces=False
    )


def _first_characters(texts: "Dataset") -> Iterator[str]:
    size = 0
    for text in texts["text"]:
        yield text
        size += len(text)
        if size >= _TRAINING_CHARACTERS:
            return
