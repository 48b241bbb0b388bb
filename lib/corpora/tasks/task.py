"""A generated task: items with a prompt and an answer, split so that nothing of a held-out item stands in training.

What makes an item hard, its numbers (or its brackets), decides by a hash on which side it lies, whatever the seed and
the size: no test item of any seed shares its prompt or its set of numbers with a training item of any seed.
"""

import hashlib
import json
import random
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from lib.corpora.errors import CorpusError

if TYPE_CHECKING:
    from datasets import Dataset

_HELD_OUT_BYTES = 51  # of 256: a fifth of what can be drawn lies on the test side
_DRAWS_PER_ITEM = 400  # draws before a generator is taken to have run dry


@dataclass(frozen=True)
class Item:
    """One question.

    Attributes:
        prompt: What a model is given.
        answer: What it should write next, with its leading space or line break.
        kind: The template or behaviour that it was drawn from.
        numbers: What no item of the other side has, in a fixed order.
        checks: For programs: argument names and cases, as JSON; else "".
    """

    prompt: str
    answer: str
    kind: str
    numbers: str
    checks: str = ""


@dataclass(frozen=True)
class Generator:
    """How items of a task are drawn and answers judged.

    Attributes:
        name: The task's name.
        about: What it asks for, in a few words.
        draw: One item from a source of chance; it may lie on either side.
        correct: Whether an answer is right, given the item's columns.
        style: How far an answer keeps to the form asked for, 0 to 1, right or not.
        new_tokens: Tokens that the longest answer needs, with room, by the tokenizer of the model it is meant for.
    """

    name: str
    about: str
    draw: Callable[[random.Random], Item]
    correct: Callable[[Mapping[str, Any], str], bool]
    style: Callable[[str], float]
    new_tokens: int


@dataclass(frozen=True)
class Task:
    """A task's items, and its judge.

    Attributes:
        generator: Where they come from and how they are judged.
        train: Items to learn from: columns prompt, answer, kind, numbers, checks.
        test: Held-out items, of the same columns.
    """

    generator: Generator
    train: "Dataset"
    test: "Dataset"

    @property
    def name(self) -> str:
        """The task's name."""
        return self.generator.name

    def __repr__(self) -> str:
        return f"Task({self.name}: {self.generator.about}; {len(self.train)} to learn from, {len(self.test)} held out)"


def build_task(generator: Generator, train: int, test: int, seed: int = 0) -> Task:
    """Return a task of so many items on each side; the same arguments give the same items on every machine.

    Raises:
        CorpusError: There are not so many different items.
    """
    sides = {}
    for held_out, count in ((False, train), (True, test)):
        # Each side has its own dice, so that the number of items on one does not change those of the other.
        dice = random.Random(f"{generator.name} {held_out} {seed}")
        sides[held_out] = _dataset(list(_items(generator, count, held_out, dice)))
    return Task(generator, sides[False], sides[True])


def is_held_out(numbers: str) -> bool:
    """Tell on which side an item with these numbers lies."""
    return hashlib.sha256(numbers.encode()).digest()[0] < _HELD_OUT_BYTES


def words(text: str) -> tuple[str, ...]:
    """Return the words of a line, for lists that read better without quotes."""
    return tuple(text.split())


def fingerprint(items: "Dataset") -> str:
    """Return the SHA-256 of a data set's items, in their order."""
    digest = hashlib.sha256()
    for item in items:
        digest.update(json.dumps(item, sort_keys=True).encode())
    return digest.hexdigest()


def _items(generator: Generator, count: int, held_out: bool, dice: random.Random) -> Iterator[Item]:
    seen: set[tuple[str, str]] = set()
    for _ in range(count * _DRAWS_PER_ITEM):
        if len(seen) == count:
            return
        item = generator.draw(dice)
        if is_held_out(item.numbers) == held_out and (item.prompt, item.answer) not in seen:
            seen.add((item.prompt, item.answer))
            yield item
    if len(seen) < count:
        raise CorpusError(
            f"task {generator.name} yields {len(seen)} different {'test' if held_out else 'training'} items, "
            f"asked for {count}; take fewer"
        )


def _dataset(items: list[Item]) -> "Dataset":
    with warnings.catch_warnings():
        # tqdm's word, at its first import in a kernel without ipywidgets, that its bars will be plain.
        warnings.filterwarnings("ignore", message="IProgress not found")
        from datasets import Dataset

    columns = list(Item.__dataclass_fields__)
    rows = [asdict(item) for item in items]
    return Dataset.from_dict({column: [row[column] for row in rows] for column in columns})
