import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lib import kernels
from lib.onebit import pack_signs, packed_bytes, sign, unpack_signs

MATRICES = arrays(
    np.float32,
    st.tuples(st.integers(1, 9), st.integers(1, 41)),
    elements=st.sampled_from([-1.5, -0.0, 0.0, 2.0, -1e-38]),
)


@settings(deadline=None, max_examples=200)
@given(matrix=MATRICES)
def test_signs_survive_packing(matrix):
    weight = torch.from_numpy(matrix)
    expected = torch.where(weight < 0, -1, 1)
    assert torch.equal(unpack_signs(pack_signs(weight), weight.shape[1]).long(), expected)


@settings(deadline=None, max_examples=200)
@given(matrix=MATRICES)
def test_the_layout_is_numpys_little_endian_packing_of_the_negative_ones(matrix):
    assert np.array_equal(pack_signs(torch.from_numpy(matrix)).numpy(), np.packbits(matrix < 0, 1, bitorder="little"))


@settings(deadline=None, max_examples=100)
@given(matrix=MATRICES)
def test_a_row_takes_the_least_whole_bytes_and_padding_is_zero(matrix):
    m, n = matrix.shape
    packed = pack_signs(torch.from_numpy(matrix))
    assert packed.shape == (m, packed_bytes(n)) == (m, (n + 7) // 8)
    assert not (packed[:, -1].int() >> ((n - 1) % 8 + 1)).any()


def test_the_first_input_is_the_lowest_bit_and_minus_is_one():
    weight = torch.tensor([[-1.0, 1, 1, 1, 1, 1, 1, 1, 1, -1, 1, 1]])
    assert pack_signs(weight).tolist() == [[0b00000001, 0b00000010]]


def test_four_bytes_read_as_one_little_endian_word_keep_the_order():
    weight = torch.ones(1, 64)
    weight[0, [0, 31, 33]] = -1
    words = pack_signs(weight).numpy().view("<u4")
    assert words.tolist() == [[(1 << 0) | (1 << 31), 1 << 1]]


@pytest.mark.parametrize("dtype", [torch.int8, torch.float16, torch.bfloat16, torch.float64])
def test_any_signed_dtype_packs_alike(dtype):
    signs = torch.tensor([[1, -1, -1, 1, 1, -1, 1, -1, -1]])
    assert torch.equal(pack_signs(signs.to(dtype)), pack_signs(signs.float()))


@pytest.mark.parametrize(
    ("packed", "columns"),
    [
        (torch.zeros(2, 1, dtype=torch.uint8), 9),
        (torch.zeros(2, 2, dtype=torch.uint8), 8),
        (torch.zeros(2, 1, dtype=torch.int8), 8),
        (torch.zeros(2, dtype=torch.uint8), 8),
    ],
)
def test_bytes_that_do_not_belong_to_the_columns_are_refused(packed, columns):
    with pytest.raises(ValueError, match=f"{columns} signs a row"):
        unpack_signs(packed, columns)


def test_only_matrices_are_packed():
    with pytest.raises(ValueError, match="matrix"):
        pack_signs(torch.ones(8))


def test_what_is_packed_here_is_what_the_kernels_read():
    weight = torch.randn(5, 37, generator=torch.Generator().manual_seed(0))
    assert torch.equal(kernels.signs(pack_signs(weight), 37), sign(weight))
