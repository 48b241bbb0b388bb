import pytest

from lib.delta_come import DeltaError, EqualBytes, Plan, Storage
from lib.delta_come.equal_bytes import true_budget


@pytest.mark.parametrize("rule", ["3:rest", "16:rest", "8:1,3:rest", "8:0.8%,3:4.7%,2:rest"])
@pytest.mark.parametrize("storage", [Storage(), Storage(rank_scales=True), Storage(permutation=True)])
def test_the_bytes_of_another_plan_are_spent_to_less_than_one_rank(rule, storage):
    m, n = 576, 1536
    budget = true_budget("8:2,3:32,2:rest", m, n, 1 / 16)
    plan = EqualBytes(rule).resolve(m, n, 1 / 16, storage)
    last = plan.groups[-1]
    more = Plan((*plan.groups[:-1], type(last)(last.bits, last.ranks + 1)))
    assert plan.true_bits(m, n, storage) <= budget < more.true_bits(m, n, storage)


def test_without_another_plan_the_ratio_is_meant_as_it_is_written():
    plan = EqualBytes("2:rest", like=None).resolve(576, 576, 1 / 16)
    assert plan.true_bits(576, 576) <= 576 * 576
    assert plan.total_ranks < 144  # what the paper's rule allows


def test_the_budget_is_that_of_the_plan_as_the_paper_stores_it():
    expected = Plan.parse("8:2,3:32,2:968").resolve(4096, 4096, 1 / 16).true_bits(4096, 4096, Storage(permutation=True))
    assert true_budget("8:2,3:32,2:rest", 4096, 4096, 1 / 16) == expected


def test_no_more_ranks_are_taken_than_there_are():
    assert EqualBytes("2:rest", like=None).resolve(64, 32, 1).total_ranks == 32


def test_a_plan_without_a_rest_cannot_be_filled():
    with pytest.raises(DeltaError, match="only a plan that ends in a rest"):
        EqualBytes("8:2,3:32")


def test_too_few_bytes_are_named():
    with pytest.raises(DeltaError, match=r"16:rest does not fit k_proj \(64 x 64\) into 64 bits"):
        EqualBytes("16:rest", like=None).resolve(64, 64, 1 / 1024, name="k_proj")
