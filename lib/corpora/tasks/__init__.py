"""Generated tasks with answers that can be checked: to fine-tune on, and to measure what compression costs.

    task = make_task("arithmetic", train=6000, test=500, seed=0)
    task.train[0]["prompt"], task.train[0]["answer"]        # datasets.Dataset on both sides
    is_correct(task.name, task.test[0], " 3*8=24 14+24=38 #38")

For SmolLM2: arithmetic (word problems), cards (a strict form), programs (run by our own interpreter). For tiny models
of single characters: chains, records, brackets, and primer, which such a model reads first.
"""

from collections.abc import Mapping
from typing import Any

from lib.corpora.errors import CorpusError
from lib.corpora.tasks.arithmetic import ARITHMETIC
from lib.corpora.tasks.cards import CARDS
from lib.corpora.tasks.characters import BRACKETS, CHAINS, PRIMER, RECORDS
from lib.corpora.tasks.errors import LimitExceeded, OutsideSubset, ProgramError, RunFailed
from lib.corpora.tasks.interpreter import run
from lib.corpora.tasks.programs import PROGRAMS
from lib.corpora.tasks.task import Generator, Item, Task, build_task, fingerprint
from lib.corpora.tasks.values import Limits

__all__ = [
    "TASKS",
    "Generator",
    "Item",
    "LimitExceeded",
    "Limits",
    "OutsideSubset",
    "ProgramError",
    "RunFailed",
    "Task",
    "fingerprint",
    "is_correct",
    "make_task",
    "run",
    "style_score",
]

TASKS: dict[str, Generator] = {
    generator.name: generator for generator in (ARITHMETIC, CARDS, PROGRAMS, CHAINS, RECORDS, BRACKETS, PRIMER)
}


def make_task(name: str, train: int = 6000, test: int = 500, seed: int = 0) -> Task:
    """Return a task's items.

    Args:
        name: One of TASKS.
        train: Number of items to learn from.
        test: Number of held-out items.
        seed: Of the draws. Whatever it is, test items of one seed are held out from the training items of another.

    Raises:
        CorpusError: The name is unknown, or there are not so many different items.
    """
    return build_task(_generator(name), train, test, seed)


def is_correct(name: str, item: Mapping[str, Any], answer: str) -> bool:
    """Tell whether an answer to an item of a task is right."""
    return _generator(name).correct(item, answer)


def style_score(name: str, answer: str) -> float:
    """Return how far an answer keeps to the form that a task asks for, 0 to 1, whether right or not."""
    return _generator(name).style(answer)


def _generator(name: str) -> Generator:
    if name not in TASKS:
        raise CorpusError(f"there is no task {name!r}; there are {', '.join(TASKS)}")
    return TASKS[name]
