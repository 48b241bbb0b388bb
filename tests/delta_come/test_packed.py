import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.delta_come.packed import pack_codes, plane_widths, unpack_codes, word_counts


@st.composite
def code_matrices(draw):
    bits = draw(st.sampled_from([1, 2, 3, 4, 5, 6, 7, 8]))
    rows, columns = draw(st.integers(1, 5)), draw(st.integers(1, 71))
    dice = np.random.default_rng(draw(st.integers(0, 2**31)))
    return bits, torch.from_numpy(dice.integers(0, 2**bits, (rows, columns), dtype=np.uint8))


@settings(deadline=None, max_examples=80)
@given(given_codes=code_matrices())
def test_codes_survive_packing(given_codes):
    bits, codes = given_codes
    assert torch.equal(unpack_codes(pack_codes(codes, bits), bits, codes.shape[1]), codes)


@settings(deadline=None, max_examples=40)
@given(given_codes=code_matrices())
def test_a_row_takes_the_least_whole_words_of_each_plane(given_codes):
    bits, codes = given_codes
    planes = pack_codes(codes, bits)
    columns = codes.shape[1]
    assert [plane.shape[1] for plane in planes] == list(word_counts(bits, columns))
    assert [plane.shape[1] for plane in planes] == [(columns * width + 31) // 32 for width in plane_widths(bits)]


@settings(deadline=None, max_examples=40)
@given(given_codes=code_matrices())
def test_a_shift_and_a_mask_read_every_code(given_codes):
    bits, codes = given_codes
    planes = [plane.numpy().astype(np.int64) & 0xFFFFFFFF for plane in pack_codes(codes, bits)]
    for column in range(codes.shape[1]):
        value, shift = 0, 0
        for plane, width in zip(planes, plane_widths(bits), strict=True):
            word, place = divmod(column, 32 // width)
            value = value + (((plane[:, word] >> (place * width)) & (2**width - 1)) << shift)
            shift += width
        assert value.tolist() == codes[:, column].tolist()


@pytest.mark.parametrize(("bits", "widths"), [(2, (2,)), (3, (2, 1)), (4, (4,)), (5, (4, 1)), (8, (8,))])
def test_a_width_is_cut_into_powers_of_two(bits, widths):
    assert plane_widths(bits) == widths


def test_three_bits_take_three_bits():
    assert sum(plane.numel() * 32 for plane in pack_codes(torch.full((7, 64), 5, dtype=torch.uint8), 3)) == 3 * 7 * 64


def test_the_first_column_lies_in_the_lowest_bits_and_the_padding_is_zero():
    low, high = pack_codes(torch.tensor([[0b101, 0b010]], dtype=torch.uint8), 3)
    assert (low.tolist(), high.tolist()) == ([[0b10_01]], [[0b0_1]])


def test_an_empty_matrix_packs_to_nothing():
    empty = torch.zeros(0, 5, dtype=torch.uint8)
    assert unpack_codes(pack_codes(empty, 3), 3, 5).shape == (0, 5)


@pytest.mark.parametrize("bits", [0, 9, 16])
def test_other_widths_are_refused(bits):
    with pytest.raises(ValueError, match=f"1 to 8 bits are packed, got {bits}"):
        pack_codes(torch.zeros(1, 1, dtype=torch.uint8), bits)


def test_a_code_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="a code is 4, more than the 3 that 2 bits hold"):
        pack_codes(torch.tensor([[4]], dtype=torch.uint8), 2)


@pytest.mark.parametrize("codes", [torch.zeros(3, dtype=torch.uint8), torch.zeros(3, 3)])
def test_only_matrices_of_bytes_are_packed(codes):
    with pytest.raises(ValueError, match="codes are a uint8 matrix"):
        pack_codes(codes, 2)


@pytest.mark.parametrize(
    "planes",
    [
        (torch.zeros(2, 2, dtype=torch.int32),),
        (torch.zeros(2, 2, dtype=torch.int32), torch.zeros(2, 2, dtype=torch.int32)),
        (torch.zeros(2, 2, dtype=torch.int32), torch.zeros(3, 1, dtype=torch.int32)),
        (torch.zeros(2, 2), torch.zeros(2, 1)),
    ],
)
def test_planes_that_do_not_belong_to_the_columns_are_refused(planes):
    with pytest.raises(ValueError, match=r"20 codes of 3 bits a row are packed as int32 planes \[rows, 2 and 1\]"):
        unpack_codes(planes, 3, 20)
