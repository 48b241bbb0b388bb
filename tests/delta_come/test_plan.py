from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.delta_come import DeltaError, Group, Plan, Storage
from lib.delta_come.plan import bit_rank_budget

PAPER = "8:2,3:32,2:rest"

# Shape, bit-rank budget, 2-bit ranks, all ranks, and the ranks of one width alone (16, 8, 4, 3, 2), at 1/16.
BUDGETS = [
    ((4096, 4096), 2048.0, 968, 1002, (128, 256, 512, 682, 1024)),
    ((11008, 4096), 2985.2, 1436, 1470, (186, 373, 746, 995, 1492)),
    ((5120, 5120), 2560.0, 1224, 1258, (160, 320, 640, 853, 1280)),
    ((13824, 5120), 3736.2, 1812, 1846, (233, 467, 934, 1245, 1868)),
    ((1024, 4096), 819.2, 353, 387, (51, 102, 204, 273, 409)),
    ((14336, 4096), 3185.8, 1536, 1570, (199, 398, 796, 1061, 1592)),
    ((576, 576), 288.0, 88, 122, (18, 36, 72, 96, 144)),
    ((192, 576), 144.0, 16, 50, (9, 18, 36, 48, 72)),
    ((1536, 576), 418.9, 153, 187, (26, 52, 104, 139, 209)),
]

# Shape, plan, size by codes alone, with all that is stored, and with 3-bit codes in cells of 4 bits.
SIZES = [
    ((4096, 4096), "8:2,3:32,2:968", 16.00, 14.80, 14.59),
    ((11008, 4096), "8:2,3:32,2:1428", 16.09, 14.86, 14.71),
    ((576, 576), "8:2,3:32,2:88", 16.00, 13.97, 12.73),
    ((192, 576), "8:2,3:32,2:16", 16.00, 13.84, 11.61),
    ((1536, 576), "8:2,3:32,2:153", 16.03, 13.82, 12.97),
]


@pytest.mark.parametrize(("shape", "budget", "two_bit", "total", "single"), BUDGETS)
def test_the_papers_plan_fills_the_budget_of_every_shape(shape, budget, two_bit, total, single):
    plan = Plan.parse(PAPER).resolve(*shape, 1 / 16)
    assert bit_rank_budget(*shape, 1 / 16) == pytest.approx(budget, abs=0.05)
    assert plan == Plan((Group(8, 2), Group(3, 32), Group(2, two_bit)))
    assert plan.total_ranks == total
    alone = [Plan.parse(f"{bits}:rest").resolve(*shape, 1 / 16).total_ranks for bits in (16, 8, 4, 3, 2)]
    # Two bits allow more ranks than a narrow matrix has.
    assert alone == [min(ranks, *shape) for ranks in single]


@pytest.mark.parametrize(("shape", "plan", "payload", "true", "_cells"), SIZES)
def test_true_sizes_count_scales_zeros_and_singular_values(shape, plan, payload, true, _cells):
    plan, full = Plan.parse(plan).resolve(*shape, 1 / 15.9), 16 * shape[0] * shape[1]
    assert full / plan.payload_bits(*shape) == pytest.approx(payload, abs=0.005)
    assert full / plan.true_bits(*shape) == pytest.approx(true, abs=0.005)


@pytest.mark.parametrize(("shape", "plan", "_payload", "_true", "cells"), SIZES)
def test_three_bits_in_cells_of_four_cost_what_the_table_says(shape, plan, _payload, _true, cells):
    m, n = shape
    plan = Plan.parse(plan).resolve(m, n, 1 / 15.9)
    assert 16 * m * n / (plan.true_bits(m, n) + 32 * (m + n)) == pytest.approx(cells, abs=0.005)


def test_shares_are_the_papers_ranks_at_the_papers_width():
    assert str(Plan.parse("8:0.8%,3:4.7%,2:rest").resolve(4096, 4096, 1 / 16)) == "8:2,3:32,2:968"


def test_a_share_is_at_least_one_rank():
    assert str(Plan.parse("8:0.8%,3:4.7%,2:rest").resolve(192, 576, 1 / 16)) == "8:1,3:2,2:65"


def test_a_rest_of_less_than_a_rank_is_left_out():
    assert str(Plan.parse("8:36,2:rest").resolve(576, 576, 1 / 16)) == "8:36"


def test_no_plan_has_more_ranks_than_the_matrix():
    assert str(Plan.parse("4:10,2:rest").resolve(64, 32, 1)) == "4:10,2:22"


@pytest.mark.parametrize(
    ("storage", "more"),
    [
        # One group of 30 ranks in a row of U, two of up to 128 inputs in a row of V.
        (Storage(symmetric=True), -3 * (96 + 30 * 2)),
        (Storage(permutation=True), 16 * 200),
        # 30 codes of 3 bits are 90 bits: 3 words are 96; 200 are 600, 19 words are 608.
        (Storage(word_bits=32), 96 * 6 + 30 * 8),
        (Storage(group_size=64), 30 * (4 - 2) * 19),
        (Storage(singular_value_bits=32), 30 * 16),
    ],
)
def test_each_way_of_storing_changes_the_size_by_its_own_bits(storage, more):
    plan = Plan((Group(3, 30),))
    assert plan.true_bits(96, 200, storage) - plan.true_bits(96, 200) == more


def test_sixteen_bits_are_stored_as_they_are():
    assert Plan((Group(16, 5),)).true_bits(40, 30, Storage(permutation=True)) == 16 * (5 * 70 + 5)


@given(
    m=st.integers(40, 3000),
    n=st.integers(40, 3000),
    inverse=st.floats(2, 40),
    first=st.sampled_from([16, 8, 4]),
    second=st.sampled_from([3, 2]),
)
def test_the_rest_leaves_less_than_one_rank_of_the_budget(m, n, inverse, first, second):
    budget = bit_rank_budget(m, n, 1 / inverse)
    if budget < first + second:
        return
    plan = Plan.parse(f"{first}:1,{second}:rest").resolve(m, n, 1 / inverse)
    used = sum(group.bits * group.ranks for group in plan.groups)
    assert used <= budget + 1e-6
    assert budget - used < second or plan.total_ranks == min(m, n)
    assert plan.payload_bits(m, n) == used * (m + n)
    assert plan.true_bits(m, n) > plan.payload_bits(m, n) + ceil(m / 128)


@pytest.mark.parametrize("text", ["", "8", "8:", "2:rest,3:4", "8:2;3:4", "3:-1", "3:4.7", "rest"])
def test_a_text_that_is_no_plan_is_named(text):
    with pytest.raises(DeltaError, match="cannot read the plan"):
        Plan.parse(text)


@pytest.mark.parametrize("text", ["5:2,2:rest", "3:0", "1:rest"])
def test_widths_and_counts_are_checked(text):
    with pytest.raises(DeltaError, match="a group has"):
        Plan.parse(text)


def test_a_share_above_all_is_refused():
    with pytest.raises(DeltaError, match="at most 100 %, got 120 %"):
        Plan.parse("8:120%")


@pytest.mark.parametrize(("text", "takes"), [(PAPER, "112"), ("16:rest", "16")])
def test_a_budget_too_small_names_matrix_and_remedy(text, takes):
    with pytest.raises(
        DeltaError, match=rf"does not fit k_proj \(40 x 80\): it takes {takes} bit-ranks .* larger ratio"
    ):
        Plan.parse(text).resolve(40, 80, 1 / 64, "k_proj")


def test_a_ratio_of_nothing_is_refused():
    with pytest.raises(DeltaError, match="a ratio is above 0"):
        Plan.parse(PAPER).resolve(64, 64, 0.0)


@pytest.mark.parametrize("text", [PAPER, "8:0.8%,3:4.7%,2:rest", "16:4"])
def test_a_rule_prints_as_it_was_written(text):
    assert str(Plan.parse(text)) == text
