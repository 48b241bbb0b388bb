"""Settings from pairs: those with a task and the reader's own without one."""

import math
from dataclasses import replace

import pytest

from lib.delta_come.contest import load_setting


@pytest.fixture(scope="module")
def loaded(subject):
    return load_setting(subject, window=16, sequences=4)


def test_a_pair_with_a_task_is_scored_on_every_item(loaded, subject):
    assert len(loaded.base_correct) == len(loaded.finetuned_correct) == len(subject.items)
    assert loaded.calibration.shape == (4, 16)
    assert loaded.base_divergence.mean > 0


def test_a_pair_of_the_readers_own_is_not_scored_and_still_compared(subject):
    own = load_setting(replace(subject, task=None, items=subject.items[:3]), window=16, sequences=2)
    assert own.base_correct == own.finetuned_correct == ()
    assert math.isnan(own.gain)
    assert not own.gained
    assert len(own.base_divergence.per_item) == 3
