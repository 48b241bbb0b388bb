"""The error of a share of accuracy that was measured on the same questions in every seed.

Student and teacher answer the same q questions. With p and t the shares that each answers rightly and b the share that
both do, the student keeps r = p / t of the teacher's accuracy, and by the delta method over questions

    Var(r) = p (p + t - 2 b) / (t^3 q)

where p + t - 2 b is the share that only one of the two answers rightly. Seeds do not shrink it: they share q.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from lib.ledger import Estimate

_NORMAL_95 = 1.959964  # half-width of a 95 % interval in standard errors


@dataclass(frozen=True)
class Answers:
    """How a student and its teacher answered the same questions.

    Attributes:
        student: Share that the student answered rightly, 0 to 1.
        teacher: Share that the teacher did; above 0.
        both: Share that both did.
        questions: Their number, q.
    """

    student: float
    teacher: float
    both: float
    questions: int

    @property
    def kept(self) -> float:
        """The student's share over the teacher's."""
        return self.student / self.teacher

    @property
    def variance(self) -> float:
        """Variance of `kept` over the draw of questions."""
        only_one = max(0.0, self.student + self.teacher - 2 * self.both)
        return self.student * only_one / (self.teacher**3 * self.questions)


def with_shared_questions(over_seeds: Estimate, answers: Sequence[Answers], scale: float = 1.0) -> Estimate:
    """Return an estimate over seeds whose interval holds the error of the questions too.

    The two half-widths are added in quadrature. A part of the scatter over seeds is the questions' own, so that the sum
    is rather too wide than too narrow.

    Args:
        over_seeds: Mean of `scale * kept` over seeds.
        answers: One a seed, all to the same questions.
        scale: Of the estimate; 100 for percent.
    """
    variance = sum(each.variance for each in answers) / len(answers)
    low, high = over_seeds.interval or (over_seeds.value, over_seeds.value)
    half = math.hypot((high - low) / 2, _NORMAL_95 * scale * math.sqrt(variance))
    basis = f"{over_seeds.basis}, with the error of {answers[0].questions} questions that all seeds share"
    return replace(over_seeds, interval=(over_seeds.value - half, over_seeds.value + half), basis=basis)
