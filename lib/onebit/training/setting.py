"""What a distillation starts from: a teacher, and blocks of tokens to train on, to choose by and to report on.

    setting = load_setting("mini", text="", length=64, train_blocks=2000, held_out_blocks=128)
    student = student_of(setting.model, OneBitForm().make_layer)
    distil(student, setting.model, setting.train, DistillationRecipe(steps=100))

One name for every scale: a tiny teacher that is trained here, a packaged model, a hub checkpoint, a local folder.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lib import corpora
from lib.checkout import Checkout
from lib.models import LoadedModel, ModelError, load
from lib.models.tiny import TEACHERS, load_teacher, teacher_corpus

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


@dataclass(frozen=True)
class Setting:
    """A teacher and its text, tokenised by its own tokenizer.

    Attributes:
        teacher: The model with its name, folder and tokenizer.
        train: Token ids to train on, int32 [blocks, T].
        validation: Held out, to choose learning rates and the like by, [blocks, T].
        test: Held out, to report on, [blocks, T].
        corpus: What the text is made of, and how much of the held-out text stands in the training text too.
    """

    teacher: LoadedModel
    train: "torch.Tensor"
    validation: "torch.Tensor"
    test: "torch.Tensor"
    corpus: corpora.Manifest

    @property
    def model(self) -> "PreTrainedModel":
        """The teacher's weights, in evaluation mode."""
        return self.teacher.model

    @property
    def tokenizer(self) -> "PreTrainedTokenizerBase":
        """The teacher's tokenizer."""
        return self.teacher.tokenizer

    def __repr__(self) -> str:
        length = self.train.shape[1]
        blocks = f"{len(self.train)} / {len(self.validation)} / {len(self.test)}"
        return f"Setting({self.teacher!r}; {blocks} blocks of {length} tokens from {self.corpus.source})"


def load_setting(
    teacher: str,
    text: str,
    length: int,
    train_blocks: int,
    held_out_blocks: int,
    dtype: str = "float32",
    checkout: Checkout = Checkout(),
) -> Setting:
    """Return a teacher with its blocks of text.

    A name of `TEACHERS` whose model is not in the artifact store yet is trained first.

    Args:
        teacher: A name of `TEACHERS`, a packaged model, a hub name ("owner/name") or a folder in the hub's format.
        text: "": what a tiny teacher read and what was held out from it, the docstrings of all pinned packages for
            others. Else a folder of text files or a hub data set, "owner/name" or "owner/name:configuration".
        length: T, tokens in a block.
        train_blocks: Blocks of the training text, at most; a small text has fewer.
        held_out_blocks: Blocks of validation and of test text, at most.
        dtype: What the weights are held in; a tiny teacher is always float32.
        checkout: The tree whose artifact store keeps models and text.

    Raises:
        ModelError: There is no such model, or it cannot be read.
        CorpusError: There is no such text, or a split of it does not fill one block.
    """
    loaded = _load(teacher, dtype, checkout)
    corpus = _corpus(teacher, text, checkout)
    limits = {"train": train_blocks, "validation": held_out_blocks, "test": held_out_blocks}
    blocks = {name: _blocks(corpus, name, loaded, length, limit) for name, limit in limits.items()}
    return Setting(loaded, corpus=corpus.manifest, **blocks)


def _load(teacher: str, dtype: str, checkout: Checkout) -> LoadedModel:
    if teacher in TEACHERS:
        return load_teacher(TEACHERS[teacher], checkout)
    try:
        return load(teacher, dtype, checkout)
    except ModelError as error:
        raise ModelError(f"{error} (tiny teachers, trained here, are {', '.join(TEACHERS)})") from error


def _corpus(teacher: str, text: str, checkout: Checkout) -> corpora.Corpus:
    if text:
        name, _, config = (text, "", "") if Path(text).expanduser().is_dir() else text.partition(":")
        return corpora.load(name, config=config or None, checkout=checkout)
    return teacher_corpus(TEACHERS[teacher], checkout) if teacher in TEACHERS else corpora.load(checkout=checkout)


def _blocks(corpus: corpora.Corpus, split: str, loaded: LoadedModel, length: int, limit: int) -> "torch.Tensor":
    try:
        return corpora.token_blocks(corpus.split(split), loaded.tokenizer, length, at_most=limit)
    except corpora.CorpusError as error:
        raise corpora.CorpusError(f"the {split} split of {corpus.manifest.source}: {error}") from error
