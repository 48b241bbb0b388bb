"""Which base and fine-tune a notebook works on: a pair that is trained here, or the reader's own two checkpoints.

sources = find_sources("tiny", task="chains", regime="large")       # or find_sources("owner/base", "owner/tuned")
pair = take_pair(sources.base, sources.finetuned)                   # enough for looking at weights
subject = load_subject(sources, items=300)                          # models, text, and items to compare them on
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib.checkout import Checkout
from lib.delta_come.errors import DeltaError

if TYPE_CHECKING:
    import torch
    from datasets import Dataset

    from lib.delta_come.delta import Pair
    from lib.models import LoadedModel
    from lib.models.finetuning import FineTuneRecipe

TINY = "tiny"

# Records of all tiny pairs are judged together, as those of one model; their shapes have 0.1 to 0.4 M weights.
_TINY_PARAMETERS = 100_000
_PROMPT, _ANSWER = 300, 400  # characters of a document that are given, and that are compared
_PRIMER_TEST = 1000  # items, some 20 characters each


@dataclass(frozen=True)
class Sources:
    """Where a base and its fine-tune are.

    Attributes:
        label: What they are, for titles.
        base: As `lib.models.load` takes it.
        finetuned: As `base`.
        recipe: How the fine-tune was made; None for the reader's own.
        model: What records call it.
    """

    label: str
    base: str | Path
    finetuned: str | Path
    recipe: "FineTuneRecipe | None"
    model: str

    def parameters(self, pair: "Pair") -> int:
        """Return the number of weights that records name: of all tiny pairs the same, so that they count as one."""
        return _TINY_PARAMETERS if self.model == TINY else sum(each.numel() for each in pair.base.weights.values())

    def __repr__(self) -> str:
        return self.label


def find_sources(
    base: str = TINY,
    finetuned: str = "",
    task: str = "chains",
    regime: str = "large",
    shape: str = "llama",
    seed: int = 0,
    checkout: Checkout = Checkout(),
) -> Sources:
    """Return where a pair is; what is not in the artifact store yet is trained first.

    Args:
        base: "tiny", or a model as `lib.models.load` takes it.
        finetuned: A fine-tune of that base; "": one is trained here, by the recipe of `lib.models.finetuning`.
        task: What it learns.
        regime: "small" or "large": how large a delta is aimed at.
        shape: Of a tiny model.
        seed: Of items, order, and a tiny base's first weights.
        checkout: The tree whose artifact store keeps it.

    Raises:
        DeltaError: A fine-tune of one's own comes without its base.
        ModelError: There is no such model, shape or regime.
        CorpusError: There is no such task.
    """
    from lib.models import finetuning

    if finetuned and base == TINY:
        raise DeltaError(f"{finetuned} is no fine-tune of a tiny base: give the base that it was trained from")
    if finetuned:
        return Sources(f"{finetuned}, from {base}", base, finetuned, None, finetuned)
    if base == TINY:
        recipe = finetuning.tiny_recipe(task, regime, shape, seed)
        label = f"tiny {shape}, {task}, {regime} delta, seed {seed}"
    else:
        recipe = replace(finetuning.smollm2_recipe(task, regime, seed), base=base)
        label = f"{base}, {task}, {regime} delta"
    folders = finetuning.base_folder(recipe.base, checkout), finetuning.finetuned_folder(recipe, checkout)
    return Sources(label, *folders, recipe, base)


@dataclass(frozen=True)
class Subject:
    """A pair in memory with the text that it is compressed and measured on.

    Attributes:
        sources: Where it is from.
        base: The model before.
        finetuned: The model after.
        pair: Both, checked against each other, tensors by name.
        task: What was learnt; None where that is not known.
        items: Held-out items with columns prompt and answer.
        texts: By kind: "task", what the fine-tune learnt from, and "plain", the base's own kind of text; and both
            "held out".
    """

    sources: Sources
    base: "LoadedModel"
    finetuned: "LoadedModel"
    pair: "Pair"
    task: str | None
    items: Sequence[Mapping[str, Any]] = field(repr=False)
    texts: "Mapping[str, Dataset]" = field(repr=False)

    def blocks(self, kind: str, window: int, sequences: int) -> "torch.Tensor":
        """Return token blocks of one kind of text, [at most `sequences`, window].

        Raises:
            DeltaError: There is no such kind, or not one window of it.
        """
        from lib.corpora import CorpusError, token_blocks

        if kind not in self.texts:
            raise DeltaError(f"there is no text of the kind {kind!r}; there are {sorted(self.texts)}")
        try:
            return token_blocks(self.texts[kind], self.finetuned.tokenizer, window, at_most=sequences)
        except CorpusError as error:
            raise DeltaError(f"the {kind} text does not fill a window: {error}") from error


def only_last_blocks(subject: Subject, blocks: int) -> Subject:
    """Return a subject of which only the last blocks changed: the base has the fine-tune's projections in the others.

    So a large model can be compressed again and again in a part of the time; a delta of zero takes no bytes.

    Args:
        subject: The pair; its models are left as they are.
        blocks: How many; 0: all of them, and nothing is changed.
    """
    import torch

    from lib.delta_come.delta import take_pair

    if not blocks:
        return subject
    first = int(subject.pair.base.config["num_hidden_layers"]) - blocks
    model = copy.deepcopy(subject.base.model)
    with torch.no_grad():
        for name in subject.pair.projections:
            if int(name.split(".layers.")[1].split(".")[0]) < first:
                model.get_parameter(name).copy_(subject.finetuned.model.get_parameter(name))
    base = replace(subject.base, name=f"{subject.base.name}, all but {blocks} blocks fine-tuned", model=model)
    return replace(subject, base=base, pair=take_pair(base, subject.finetuned))


def load_subject(sources: Sources, items: int = 400, text: str = "", checkout: Checkout = Checkout()) -> Subject:
    """Return a pair's models, items and texts.

    Args:
        sources: From `find_sources`.
        items: Number of held-out items.
        text: For a pair of the reader's own: a folder of text or a hub data set; "": the default corpus. Items are then
            the first characters of its held-out documents with what follows them, and both kinds of text are its own.
        checkout: The tree whose artifact store keeps text.
    """
    from lib.corpora import tasks
    from lib.delta_come.delta import take_pair
    from lib.models import load

    base, finetuned = load(sources.base, checkout=checkout), load(sources.finetuned, checkout=checkout)
    pair, recipe = take_pair(base, finetuned), sources.recipe
    if recipe is None:
        rows, texts = _continuations(text, items, checkout)
        texts |= {"task": texts["plain"], "task, held out": texts["plain, held out"]}
        return Subject(sources, base, finetuned, pair, None, rows, texts)
    task = tasks.make_task(recipe.task, recipe.items, items, recipe.seed)
    texts = {"task": _joined(task.train), "task, held out": _joined(task.test)} | _base_text(recipe, checkout)
    return Subject(sources, base, finetuned, pair, task.name, list(task.test), texts)


def _base_text(recipe: "FineTuneRecipe", checkout: Checkout) -> "dict[str, Dataset]":
    """Return the base's own kind of text: the primer of a tiny one, the default corpus for others."""
    from lib.corpora import tasks

    if isinstance(recipe.base, str):
        return _continuations("", 0, checkout)[1]
    primer = tasks.make_task("primer", recipe.base.items, _PRIMER_TEST, recipe.base.seed)
    return {"plain": _joined(primer.train), "plain, held out": _joined(primer.test)}


def _continuations(text: str, items: int, checkout: Checkout) -> "tuple[list[dict[str, str]], dict[str, Dataset]]":
    """Return beginnings of documents with what follows, and the corpus that they are from."""
    from lib import corpora

    name, _, config = (text, "", "") if Path(text).expanduser().is_dir() else text.partition(":")
    corpus = corpora.load(name or "docstrings", config=config or None, checkout=checkout)
    long = (each["text"] for each in corpus.validation if len(each["text"]) >= _PROMPT + _ANSWER)
    rows = [
        {"prompt": document[:_PROMPT], "answer": document[_PROMPT : _PROMPT + _ANSWER]}
        for document, _ in zip(long, range(items), strict=False)
    ]
    return rows, {"plain": corpus.train, "plain, held out": corpus.test}


def _joined(items: "Dataset") -> "Dataset":
    from datasets import Dataset

    pairs = zip(items["prompt"], items["answer"], strict=True)
    return Dataset.from_dict({"text": [prompt + answer for prompt, answer in pairs]})
