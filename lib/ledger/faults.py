"""What is wrong with one record or one claim, named with its remedy, so that the rest can stand."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """Something that is wrong and does not stop the rest.

    Attributes:
        where: A file relative to the root, or a claim's id.
        problem: What is wrong.
        remedy: What to do about it.
    """

    where: str
    problem: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.where}: {self.problem}. Remedy: {self.remedy}."


class RecordError(ValueError):
    """A record that cannot be made or read.

    Attributes:
        problem: What is wrong.
        remedy: What to do about it.
    """

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(f"{problem}; {remedy}")
        self.problem, self.remedy = problem, remedy
