import numpy as np
import pytest

from lib.ledger import over_seeds
from lib.ledger.intervals import bootstrap_interval
from lib.onebit.paired_items import Answers, with_shared_questions


@pytest.fixture
def answered():
    """Who answered rightly, [questions, (student, teacher)]: they agree more often than chance."""
    dice = np.random.default_rng(0)
    teacher = dice.random(400) < 0.6
    student = np.where(dice.random(400) < 0.7, teacher, dice.random(400) < 0.4)
    return np.stack([student, teacher], axis=1).astype(float)


def answers_of(answered):
    (student, teacher), both = answered.mean(0), answered.prod(1).mean()
    return Answers(student, teacher, both, len(answered))


def test_the_error_of_the_questions_is_that_of_a_paired_bootstrap(answered):
    found = answers_of(answered)
    low, high = bootstrap_interval(answered, lambda drawn: drawn[..., 0].mean(1) / drawn[..., 1].mean(1))
    assert 2 * 1.96 * found.variance**0.5 == pytest.approx(high - low, rel=0.1)


def test_a_student_that_answers_as_its_teacher_has_no_error():
    assert Answers(0.5, 0.5, 0.5, 10).variance == 0


def test_equal_seeds_have_the_interval_of_the_questions(answered):
    found = answers_of(answered)
    estimate = with_shared_questions(over_seeds([100 * found.kept] * 3), [found] * 3, scale=100)
    half = 100 * 1.959964 * found.variance**0.5
    assert estimate.interval == pytest.approx((100 * found.kept - half, 100 * found.kept + half))
    assert "400 questions" in estimate.basis


def test_seeds_that_scatter_widen_it_further(answered):
    found = answers_of(answered)
    estimate = over_seeds([0.9 * found.kept, 1.1 * found.kept])
    wide = with_shared_questions(estimate, [found] * 2)
    assert wide.interval[0] < estimate.interval[0]
    assert wide.interval[1] > estimate.interval[1]
