import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.kernels import layout

SHAPES = [(1, 1), (16, 32), (7, 13), (17, 33), (40, 257), (33, 576), (100, 300)]


def packed_signs(out_features: int, in_features: int, seed: int = 0) -> torch.Tensor:
    bits = np.random.default_rng(seed).integers(0, 2, (out_features, in_features), dtype=np.uint8)
    return torch.from_numpy(np.packbits(bits, axis=1, bitorder="little"))


@settings(max_examples=30, deadline=None)
@given(out_features=st.integers(1, 70), in_features=st.integers(1, 600), order=st.sampled_from(["cpu", "gpu"]))
def test_restoring_repacked_weights_gives_them_back(out_features, in_features, order):
    packed = packed_signs(out_features, in_features)
    words = layout.to_layout(packed, in_features, order)
    assert tuple(words.shape) == layout.words_shape(order, out_features, in_features)
    assert torch.equal(layout.restore(words, out_features, in_features), packed)


@pytest.mark.parametrize(("out_features", "in_features"), SHAPES)
def test_signs_of_canonical_weights_are_minus_and_plus_one(out_features, in_features):
    packed = packed_signs(out_features, in_features)
    bits = np.unpackbits(packed.numpy(), axis=1, bitorder="little")[:, :in_features]
    assert np.array_equal(layout.signs(packed, in_features).numpy(), np.where(bits, -1.0, 1.0))


def test_a_cpu_word_holds_32_inputs_of_one_output():
    packed = packed_signs(20, 70)
    words = layout.to_layout(packed, 70, "cpu").numpy().view(np.uint32)
    signs = layout.signs(packed, 70).numpy()
    for output, column in [(0, 0), (3, 40), (17, 69), (19, 31)]:
        bit = words[output // 16, column // 32, output % 16] >> np.uint32(column % 32) & 1
        assert bit == (signs[output, column] > 0)


def test_bit_s_of_the_gpu_words_is_operand_s_of_the_tensor_core():
    """PTX ISA, mma.m16n8k16, matrix A: a thread's four registers of two 16-bit elements."""
    packed = packed_signs(32, 512)
    words = layout.to_layout(packed, 512, "gpu").numpy().view(np.uint16)
    signs = layout.signs(packed, 512).numpy()
    for thread, element, step in [(0, 0, 0), (5, 3, 7), (31, 7, 15), (18, 4, 1)]:
        row = thread // 4 + 8 * (element // 2 % 2)
        column = thread % 4 * 2 + element % 2 + 8 * (element // 4)
        bit = words[1, 1, thread, element] >> np.uint16(step) & 1
        assert bit == (signs[16 + row, 256 + 16 * step + column] > 0)


def test_bits_beyond_the_inputs_are_zero_in_both_orders():
    packed = layout.restore(layout.to_layout(torch.zeros((3, 2), dtype=torch.uint8), 16, "cpu"), 3, 16)
    for order in ("cpu", "gpu"):
        words = layout.to_layout(packed, 16, order).numpy()
        assert sum(int(word).bit_count() for word in words.view(f"uint{8 * words.itemsize}").ravel()) == 3 * 16


def test_packed_weights_of_another_type_are_refused():
    with pytest.raises(TypeError, match=r"packed signs are torch\.int8.*uint8"):
        layout.repack(torch.zeros(4, 4, dtype=torch.int8), 32)


def test_packed_weights_of_another_width_are_refused():
    with pytest.raises(ValueError, match=r"shape \[4, 5\], but 32 inputs take \[out, 4\]"):
        layout.repack(torch.zeros(4, 5, dtype=torch.uint8), 32)


def test_words_of_another_layer_are_refused():
    words = layout.repack(packed_signs(16, 64), 64)
    with pytest.raises(ValueError, match=r"16 outputs × 128 inputs take int32 \[1, 4, 16\]"):
        layout.restore(words, 16, 128)
