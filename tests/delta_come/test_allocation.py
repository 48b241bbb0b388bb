from itertools import combinations_with_replacement

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.delta_come import DeltaError, Group, MarginalGain, Plan, Storage
from lib.delta_come.allocation import CLIPPED, _filled
from lib.delta_come.equal_bytes import true_budget

DECAYING = torch.logspace(0, -4, 60, dtype=torch.float64)


def best_by_trying_all(gain, importance, m, n, budget, storage):
    """The least expected error over every way to give ranks bits that never rise."""
    least = float(sum(importance))
    for bits in combinations_with_replacement((16, 8, 4, 3, 2, 0), len(importance)):
        groups = tuple(Group(b, bits.count(b)) for b in (16, 8, 4, 3, 2) if bits.count(b))
        if Plan(groups).true_bits(m, n, storage) <= budget:
            least = min(least, gain.expected_error(Plan(groups), importance))
    return least


@settings(max_examples=25, deadline=None)
@given(
    importance=st.lists(st.floats(1e-4, 1), min_size=6, max_size=6).map(lambda w: sorted(w, reverse=True)),
    m=st.integers(20, 60),
    n=st.integers(20, 60),
    ratio=st.floats(0.05, 0.4),
)
def test_it_is_within_one_step_of_the_best_of_all_plans(importance, m, n, ratio):
    gain, storage = MarginalGain(), Storage(group_size=64)
    budget = true_budget(None, m, n, ratio)
    best = best_by_trying_all(gain, importance, m, n, budget, storage)
    try:
        plan = gain.allocate(torch.tensor(importance), m, n, ratio, storage)
    except DeltaError:
        assert best == pytest.approx(sum(importance))
        return
    assert plan.true_bits(m, n, storage) <= budget
    # A step that no longer fits is at most the largest rank's.
    assert gain.expected_error(plan, importance) <= best + importance[0]


def test_it_is_the_best_of_all_plans_where_the_budget_is_spent_exactly():
    importance, storage, gain = [1.0, 0.5, 0.2, 0.05, 0.02, 0.01], Storage(group_size=10**6), MarginalGain()
    for share in (0.05, 0.1, 0.2):
        # The budgets at which a step of the greedy ends.
        plan = gain.allocate(torch.tensor(importance), 50, 50, share, storage)
        ratio = (plan.true_bits(50, 50, storage) + 0.1) / (16 * 50 * 50)
        again = gain.allocate(torch.tensor(importance), 50, 50, ratio, storage)
        best = best_by_trying_all(gain, importance, 50, 50, true_budget(None, 50, 50, ratio), storage)
        assert gain.expected_error(again, importance) == pytest.approx(best, rel=0.02)


def test_larger_importance_never_gets_fewer_bits():
    plan = MarginalGain().allocate(DECAYING, 300, 300, 1 / 8)
    bits = [group.bits for group in plan.groups]
    assert bits == sorted(bits, reverse=True)
    assert len(bits) > 1


def test_it_beats_the_papers_plan_by_its_own_measure_at_its_bytes():
    importance = torch.logspace(0, -2, 300, dtype=torch.float64)
    gain = MarginalGain(like="8:2,3:32,2:rest", loss=CLIPPED)
    paper = Plan.parse("8:2,3:32,2:rest").resolve(576, 576, 1 / 16)
    plan = gain.allocate(importance, 576, 576, 1 / 16, Storage(permutation=True))
    assert plan.true_bits(576, 576, Storage(permutation=True)) <= paper.true_bits(576, 576, Storage(permutation=True))
    assert gain.expected_error(plan, importance) < gain.expected_error(paper, importance)


def test_the_budget_is_spent_to_less_than_a_rank_of_the_lowest_width():
    for ratio in (1 / 8, 1 / 16, 1 / 32):
        plan = MarginalGain().allocate(DECAYING.repeat_interleave(5), 400, 300, ratio)
        last = plan.groups[-1]
        more = Plan((*plan.groups[:-1], Group(last.bits, last.ranks + 1)))
        assert plan.true_bits(400, 300) <= 16 * ratio * 400 * 300 < more.true_bits(400, 300)


def test_only_the_widths_that_are_allowed_are_used():
    plan = MarginalGain(widths=(4, 3)).allocate(DECAYING, 300, 300, 1 / 8)
    assert {group.bits for group in plan.groups} <= {3, 4}


def test_directions_of_equal_weight_get_equal_bits():
    plan = MarginalGain().allocate(torch.ones(200), 400, 400, 1 / 16)
    assert len(plan.groups) <= 2  # the second is what filling up leaves


def test_what_loses_everything_is_never_chosen():
    plan = MarginalGain(loss={2: 0.5, 3: 0.04, 4: 0.01, 8: 0.0, 16: 0.0}).allocate(DECAYING, 300, 300, 1 / 8)
    assert all(group.bits > 2 for group in plan.groups)


def test_a_zero_delta_gets_no_plan():
    assert MarginalGain().allocate(torch.zeros(0), 30, 30, 1 / 16) == Plan(())


def test_a_budget_too_small_is_named():
    with pytest.raises(DeltaError, match=r"too small for one rank of q_proj \(30 x 40\)"):
        MarginalGain().allocate(torch.ones(3), 30, 40, 1 / 1000, name="q_proj")


def test_its_expected_error_counts_dropped_ranks_whole():
    plan = Plan((Group(16, 1),))
    assert MarginalGain().expected_error(plan, np.array([5.0, 2.0])) == pytest.approx(2, abs=1e-5)


def test_what_one_step_too_many_leaves_over_is_spent_on_ranks_of_the_lowest_width():
    budget = Plan((Group(8, 1), Group(2, 4))).true_bits(30, 30) + 10
    assert _filled(Plan((Group(8, 1),)), 2, 9, 30, 30, budget, Storage()) == Plan((Group(8, 1), Group(2, 4)))
    assert _filled(Plan((Group(8, 1),)), 2, 3, 30, 30, budget, Storage()) == Plan((Group(8, 1), Group(2, 2)))


def test_allocations_that_may_differ_are_told_apart_by_their_text():
    given = [{}, {"like": "3:rest"}, {"widths": (8, 2)}, {"loss": CLIPPED}, {"compensation": 1.0}]
    texts = [str(MarginalGain(**each)) for each in given]
    assert len(set(texts)) == len(given)
    assert texts[0] == "marginal gain"
