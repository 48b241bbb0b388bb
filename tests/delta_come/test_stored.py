import pytest
import torch

from lib.delta_come.factors import CompressedMatrix, GroupFactors, QuantisedMatrix
from lib.delta_come.layout import MatrixLayout
from lib.delta_come.stored import PackedMatrix


def quantised(rows, columns, bits, group_size=16, permuted=False, symmetric=False, shared=False):
    dice = torch.Generator().manual_seed(rows * 1000 + columns)
    shape = (1 if shared else rows, -(-columns // group_size))
    zeros = torch.randint(2**bits, shape, generator=dice, dtype=torch.uint8)
    return QuantisedMatrix(
        torch.randint(2**bits, (rows, columns), generator=dice, dtype=torch.uint8),
        bits,
        torch.rand(shape, generator=dice).half(),
        torch.full_like(zeros, 2 ** (bits - 1)) if symmetric else zeros,
        group_size,
        torch.randperm(columns, generator=dice).int() if permuted else None,
        symmetric,
    )


def group(m, n, bits, ranks, **of_v):
    return GroupFactors(quantised(m, ranks, bits), quantised(ranks, n, bits, **of_v), torch.rand(ranks).half())


MATRICES = {
    "the paper's widths": (group(37, 53, 8, 2), group(37, 53, 3, 11), group(37, 53, 2, 5)),
    "other widths and a permutation": (group(37, 53, 4, 1, permuted=True), group(37, 53, 2, 7, permuted=True)),
    "symmetric": (group(37, 53, 3, 3, symmetric=True),),
    "scales that rows share": (
        GroupFactors(quantised(37, 6, 4, group_size=1, shared=True), quantised(6, 53, 4), torch.rand(6).half()),
    ),
    "fp16": (GroupFactors(torch.randn(37, 2).half(), torch.randn(2, 53).half(), torch.rand(2).half()),),
    "small singular values": (GroupFactors(quantised(37, 2, 2), quantised(2, 53, 2), torch.tensor([1e-6, 1e-7])),),
    "zero": (),
}


def matrix(kind):
    return CompressedMatrix("q.weight", (37, 53), MATRICES[kind])


def parts(factor):
    if isinstance(factor, torch.Tensor):
        return [factor]
    return [factor.codes, factor.scales, factor.zeros, *([] if factor.permutation is None else [factor.permutation])]


@pytest.mark.parametrize("kind", MATRICES)
def test_a_matrix_comes_back_bit_for_bit(kind):
    back = PackedMatrix.pack(matrix(kind)).unpack()
    assert back.shape == (37, 53)
    for one, other in zip(matrix(kind).groups, back.groups, strict=True):
        for ours, theirs in ((one.U, other.U), (one.V, other.V), (one.singular_values, other.singular_values)):
            assert all(torch.equal(a, b) for a, b in zip(parts(ours), parts(theirs), strict=True))
    assert torch.equal(back.delta(), matrix(kind).delta())


@pytest.mark.parametrize("kind", MATRICES)
def test_the_layout_foretells_every_byte(kind):
    packed = PackedMatrix.pack(matrix(kind))
    held = sum(tensor.nbytes for tensor in (packed.codes, packed.halves, packed.singular_values))
    assert held == packed.layout.nbytes


@pytest.mark.parametrize("kind", MATRICES)
def test_packing_adds_less_than_a_word_a_plane_to_the_true_bytes(kind):
    packed, true = PackedMatrix.pack(matrix(kind)), matrix(kind).true_bytes
    permutations = sum(2 * len(order) for order in packed.permutations if order is not None)
    planes = sum(len(factor.code_words) + len(factor.zero_words) for factor in packed.layout.factors)
    assert true <= packed.layout.nbytes + permutations + 1
    if kind != "other widths and a permutation":  # two orders here, which the true bytes count once where equal
        assert packed.layout.nbytes <= true + 4 * planes


@pytest.mark.parametrize("kind", MATRICES)
def test_a_layout_survives_json(kind):
    layout = PackedMatrix.pack(matrix(kind)).layout
    assert MatrixLayout.from_json(layout.to_json()) == layout


def test_a_permutation_takes_two_bytes_a_column():
    orders = PackedMatrix.pack(matrix("other widths and a permutation")).permutations
    assert [None if order is None else order.dtype for order in orders] == [torch.int16, None, torch.int16, None]
