import pytest
import torch

from lib.delta_come.factors import CompressedDelta, CompressedMatrix, GroupFactors, QuantisedMatrix
from lib.delta_come.plan import Group, Plan, Storage


def quantised(rows, columns, bits, group_size=4, permutation=None, symmetric=False, seed=0):
    generator = torch.Generator().manual_seed(seed)
    groups = -(-columns // group_size)
    return QuantisedMatrix(
        codes=torch.randint(2**bits, (rows, columns), generator=generator, dtype=torch.uint8),
        bits=bits,
        scales=torch.rand(rows, groups, generator=generator).half(),
        zeros=torch.randint(2**bits, (rows, groups), generator=generator, dtype=torch.uint8),
        group_size=group_size,
        permutation=permutation,
        symmetric=symmetric,
    )


def group(m, n, bits, ranks, **more):
    return GroupFactors(quantised(m, ranks, bits), quantised(ranks, n, bits, seed=1, **more), torch.rand(ranks).half())


def test_a_value_is_its_scale_times_its_distance_from_the_zero():
    matrix = quantised(3, 10, 3)
    for row, column in [(0, 0), (1, 3), (2, 4), (0, 9)]:
        scale, zero = matrix.scales[row, column // 4].item(), matrix.zeros[row, column // 4].item()
        expected = scale * (matrix.codes[row, column].item() - zero)
        assert matrix.dequantise()[row, column].item() == pytest.approx(expected)


def test_a_permuted_matrix_comes_back_in_natural_order():
    order = torch.tensor([4, 2, 0, 1, 3, 5], dtype=torch.int32)
    permuted, natural = quantised(2, 6, 2, permutation=order), quantised(2, 6, 2)
    assert torch.equal(permuted.dequantise()[:, order.long()], natural.dequantise())


def test_a_matrix_is_the_sum_of_its_groups():
    half = GroupFactors(torch.randn(5, 2).half(), torch.randn(2, 7).half(), torch.tensor([2.0, 1.0]).half())
    matrix = CompressedMatrix("q", (5, 7), (half, group(5, 7, 2, 3)))
    last = matrix.groups[1]
    expected = half.U.float() @ torch.diag(half.singular_values.float()) @ half.V.float()
    expected += last.U.dequantise() @ torch.diag(last.singular_values.float()) @ last.V.dequantise()
    assert torch.allclose(matrix.delta(), expected, atol=1e-6)


def test_a_zero_delta_has_no_groups_and_no_bytes():
    matrix = CompressedMatrix("q", (5, 7), ())
    assert matrix.delta().eq(0).all()
    assert matrix.true_bytes == 0


@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("ordered", [False, True])
def test_bytes_are_those_that_the_plan_foretells(symmetric, ordered):
    order = torch.randperm(24).int() if ordered else None
    groups = tuple(
        GroupFactors(
            quantised(16, ranks, bits, symmetric=symmetric),
            quantised(ranks, 24, bits, permutation=order, symmetric=symmetric),
            torch.rand(ranks).half(),
        )
        for bits, ranks in [(8, 2), (3, 8)]
    )
    storage = Storage(group_size=4, symmetric=symmetric, permutation=ordered)
    plan = Plan((Group(8, 2), Group(3, 8)))
    assert CompressedMatrix("q", (16, 24), groups).true_bytes == plan.true_bits(16, 24, storage) / 8


def test_half_precision_factors_cost_two_bytes_a_value():
    half = GroupFactors(torch.randn(5, 2).half(), torch.randn(2, 7).half(), torch.ones(2).half())
    assert CompressedMatrix("q", (5, 7), (half,)).true_bytes == 2 * (10 + 14 + 2)


def test_a_delta_counts_what_is_stored_raw():
    matrix = CompressedMatrix("q", (5, 7), (group(5, 7, 4, 2),))
    delta = CompressedDelta({"q": matrix}, {"norm": torch.ones(7)}, "4:2", 1 / 16, "a", "b")
    assert delta.true_bytes == matrix.true_bytes + 28
    assert "1 matrices, 1 raw tensors, plan 4:2" in repr(delta)
