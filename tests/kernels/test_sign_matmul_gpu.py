"""How a product is cut into programs, and on a GPU, where there is one, whether it is right."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.kernels import layout, sign_linear, specification
from lib.kernels.sign_matmul_gpu import choose_tiles

SHAPES = st.tuples(
    st.integers(1, 5000), st.integers(1, 2000), st.integers(1, 130), st.sampled_from([1, 20, 108, 132, 148])
)


@settings(max_examples=200, deadline=None)
@given(SHAPES)
def test_any_shape_is_cut_into_splits_that_cover_its_inputs(shape):
    rows, _, chunks, _ = shape
    tiles = choose_tiles(*shape)
    assert 1 <= tiles.splits <= chunks
    assert -(-chunks // tiles.splits) * tiles.splits >= chunks
    assert tiles.kernel == ("rows" if rows <= 16 else "gemm")
    assert rows <= tiles.rows or tiles.kernel == "gemm"
    assert tiles.parts <= max(1, 2 * chunks - 1)  # no more warps than the inputs give work


def test_a_large_layer_is_not_split_and_a_small_one_is():
    assert choose_tiles(1, 1792, 32).splits == 1  # 28672 × 8192
    assert choose_tiles(16, 256, 43).splits > 1  # 4096 × 11008


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("layer_norm", [False, True])
@pytest.mark.parametrize(
    ("outputs", "inputs", "rows"),
    [(1, 1, 1), (123, 513, 5), (576, 576, 1), (1536, 576, 16), (4096, 4096, 3), (11008, 4096, 1), (300, 2000, 17),
     (4096, 11008, 16), (4000, 4096, 300)],
)  # fmt: skip
def test_on_a_gpu_the_layer_errs_at_most_twice_as_much_as_plain_torch(outputs, inputs, rows, dtype, layer_norm):
    generator = torch.Generator().manual_seed(rows)
    packed = torch.randint(0, 256, (outputs, -(-inputs // 8)), dtype=torch.uint8, generator=generator)
    x, g = torch.randn(rows, inputs, generator=generator), torch.rand(inputs, generator=generator) + 0.5
    h, bias = torch.randn(outputs, generator=generator), torch.randn(outputs, generator=generator)
    x, g, h, bias = (tensor.to("cuda", dtype) for tensor in (x, g, h, bias))
    words, signs = layout.repack(packed, inputs, "cuda"), layout.signs(packed.cuda(), inputs)
    wide = (tensor.double() for tensor in (x, signs, g, h, bias))
    reference = specification.sign_linear(*wide, layer_norm)
    plain = specification.sign_linear(x, signs.to(dtype), g, h, bias, layer_norm)
    y = sign_linear(x, words, g, h, bias, layer_norm)
    assert torch.equal(layout.restore(words, outputs, inputs).cpu(), packed)
    error, allowed = ((each.double() - reference).norm() / reference.norm() for each in (y, plain))
    assert error <= 2 * allowed + 1e-6
