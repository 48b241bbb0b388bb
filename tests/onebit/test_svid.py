import math

import pytest
import torch

from lib.onebit import onebit_linear, relative_error, sign, svid
from lib.onebit.random_matrices import KINDS, random_matrix
from lib.onebit.svid import Split


@pytest.fixture
def weight():
    return random_matrix("gaussian", (40, 56), seed=0).float()


def test_signs_are_those_of_the_weights_and_zero_counts_as_plus_one():
    weight = torch.tensor([[1.5, -2.0, 0.0, -0.0]])
    assert svid(weight).sign_weight.tolist() == [[1, -1, 1, 1]]
    assert sign(weight).tolist() == [[1, -1, 1, 1]]


def test_error_is_one_minus_the_share_of_the_largest_singular_value(weight):
    parts = svid(weight)
    expected = 1 - torch.linalg.svdvals(weight.double().abs())[0] ** 2 / weight.double().square().sum()
    assert relative_error(weight, parts.reconstruct()) == pytest.approx(expected.item(), rel=1e-6)


def test_no_other_signs_or_vectors_nearby_are_closer(weight):
    parts = svid(weight.double())
    best = relative_error(weight, parts.reconstruct())
    generator = torch.Generator().manual_seed(0)
    for size in (1e-3, 1e-1):
        for _ in range(20):
            h = parts.output_scale * (1 + size * torch.randn(40, generator=generator, dtype=torch.float64))
            g = parts.input_scale * (1 + size * torch.randn(56, generator=generator, dtype=torch.float64))
            assert relative_error(weight, parts.sign_weight * torch.outer(h, g)) > best
    flipped = parts.sign_weight.clone()
    flipped[3, 5] *= -1
    assert relative_error(weight, flipped * torch.outer(parts.output_scale, parts.input_scale)) > best


def test_gaussian_weights_lose_one_minus_two_over_pi():
    weight = random_matrix("gaussian", (1500, 1500), seed=1)
    assert relative_error(weight, svid(weight).reconstruct()) == pytest.approx(1 - 2 / math.pi, abs=0.003)


@pytest.mark.parametrize("split", ["balanced", "nmf", "output", "input"])
def test_the_split_changes_no_product(weight, split: Split):
    assert torch.allclose(svid(weight, split).reconstruct(), svid(weight).reconstruct(), rtol=1e-5, atol=0)


def test_each_split_shares_the_scale_as_it_says(weight):
    balanced, nmf = svid(weight), svid(weight, "nmf")
    assert balanced.output_scale.norm().item() == pytest.approx(balanced.input_scale.norm().item(), rel=1e-6)
    assert (nmf.output_scale.mean() / nmf.input_scale.mean()).item() == pytest.approx(2 / math.pi, rel=1e-6)
    assert svid(weight, "output").input_scale.mean().item() == pytest.approx(1, rel=1e-6)
    assert svid(weight, "input").output_scale.mean().item() == pytest.approx(1, rel=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_a_zero_row_or_column_gets_scale_zero_and_is_exact(kind):
    weight = random_matrix(kind, (9, 12), seed=2)
    weight[4] = 0
    weight[:, 7] = 0
    parts = svid(weight)
    assert parts.output_scale[4] == 0
    assert parts.input_scale[7] == 0
    assert not parts.reconstruct()[4].any()
    assert parts.reconstruct().isfinite().all()


def test_a_zero_matrix_becomes_zero(weight):
    parts = svid(torch.zeros(3, 4))
    assert not parts.reconstruct().any()
    assert relative_error(torch.zeros(3, 4), parts.reconstruct()) == 0


@pytest.mark.parametrize("shape", [(1, 12), (12, 1), (1, 1)])
def test_one_row_or_one_column_is_exact(shape):
    weight = random_matrix("heavy-tailed", shape, seed=3)
    assert relative_error(weight, svid(weight).reconstruct()) < 1e-24


@pytest.mark.parametrize(
    ("dtype", "scales"),
    [(torch.float16, torch.float32), (torch.bfloat16, torch.float32), (torch.float64, torch.float64)],
)
def test_half_precision_weights_get_float32_scales_and_float64_ones_keep_theirs(weight, dtype, scales):
    parts = svid(weight.to(dtype))
    assert parts.output_scale.dtype == parts.input_scale.dtype == scales


def test_layer_form_equals_the_product_with_the_built_matrix(weight):
    parts = svid(weight.double())
    inputs = random_matrix("gaussian", (2 * 5, 56), seed=4).reshape(2, 5, 56)
    layer = onebit_linear(inputs, parts.sign_weight, parts.input_scale, parts.output_scale)
    assert layer.shape == (2, 5, 40)
    assert torch.allclose(layer, inputs @ parts.reconstruct().T, rtol=0, atol=1e-12)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_weight_that_is_not_finite_is_named_with_its_place(bad):
    weight = torch.ones(3, 4)
    weight[1, 2] = bad
    with pytest.raises(ValueError, match=rf"blocks\.0\.q holds {bad} at \[1, 2\]"):
        svid(weight, name="blocks.0.q")


@pytest.mark.parametrize(
    ("weight", "said"),
    [
        (torch.ones(3), r"shape \(3,\)"),
        (torch.ones(0, 4), r"shape \(0, 4\)"),
        (torch.ones(2, 2, dtype=torch.int8), "int8"),
    ],
)
def test_what_is_no_weight_matrix_is_refused(weight, said):
    with pytest.raises(ValueError, match=said):
        svid(weight)


def test_an_unknown_split_lists_the_splits(weight):
    with pytest.raises(ValueError, match="balanced, nmf, output, input"):
        svid(weight, split="even")


def test_relative_error_of_a_known_case():
    assert relative_error(torch.tensor([[3.0, 4.0]]), torch.tensor([[3.0, 0.0]])) == pytest.approx(16 / 25)
    assert relative_error(torch.zeros(1, 2), torch.ones(1, 2)) == math.inf


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_very_small_and_very_large_weights_decompose_like_others(scale):
    weight = torch.randn(6, 9, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    usual, scaled = svid(weight), svid(weight * scale)
    assert scaled.singular_value == pytest.approx(usual.singular_value * scale, rel=1e-9)


def test_what_is_no_tensor_is_refused_by_type():
    with pytest.raises(TypeError, match=r"takes a torch\.Tensor"):
        svid([[1.0, 2.0]])


def test_eight_bit_floats_are_refused_with_the_remedy():
    with pytest.raises(ValueError, match="dequantise it first"):
        svid(torch.ones(2, 2).to(torch.float8_e4m3fn))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_the_error_of_half_precision_is_computed_in_float32(dtype):
    weight = 200 * torch.randn(40, 300, generator=torch.Generator().manual_seed(0)).to(dtype)
    assert relative_error(weight, weight / 2) == pytest.approx(0.25, rel=1e-6)


def test_an_approximation_of_another_shape_is_refused():
    with pytest.raises(ValueError, match="they must agree"):
        relative_error(torch.ones(3, 3), torch.ones(3, 1))
