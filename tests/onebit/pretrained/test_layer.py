import copy

import pytest
import torch

from lib.onebit import CheckpointError, OneBitMatrix, onebit_linear, svid
from lib.onebit.pretrained import OneBitLinear


def matrix(m: int = 37, n: int = 45) -> OneBitMatrix:
    torch.manual_seed(0)
    return OneBitMatrix.from_svid(svid(torch.randn(m, n)))


@pytest.mark.parametrize("post_layer_norm", [False, True])
def test_forward_is_the_papers_layer_with_the_bias_after_the_norm(post_layer_norm: bool):
    stored, bias, x = matrix(), torch.randn(37), torch.randn(3, 5, 45)
    layer = OneBitLinear.from_matrix(stored, bias, post_layer_norm)
    expected = onebit_linear(x.double(), stored.signs(), stored.input_scale.double(), stored.output_scale.double())
    if post_layer_norm:
        expected = torch.nn.functional.layer_norm(expected, [37])
    torch.testing.assert_close(layer(x).double(), expected + bias.double(), rtol=1e-5, atol=1e-5)


def test_a_packed_layer_holds_one_copy_of_the_signs():
    layer = OneBitLinear.from_matrix(matrix(128, 256))
    assert layer.sign_bits is None
    assert sum(tensor.nbytes for tensor in layer.buffers()) == 128 * 256 // 8 + 2 * (128 + 256)


def test_the_state_dict_gives_the_canonical_signs_back():
    stored = matrix()
    state = OneBitLinear.from_matrix(stored).state_dict()
    assert sorted(state) == ["input_scale", "output_scale", "sign_bits"]
    assert torch.equal(state["sign_bits"], stored.sign_bits)


def test_a_state_dict_loads_into_a_packed_layer():
    source, target = OneBitLinear.from_matrix(matrix()), OneBitLinear(45, 37)
    target.pack()
    target.load_state_dict(source.state_dict())
    x = torch.randn(2, 45)
    assert torch.equal(target(x), source(x))


def test_casting_the_model_leaves_the_scales_in_fp16():
    stored = matrix()
    layer = OneBitLinear.from_matrix(stored, torch.zeros(37)).to(torch.bfloat16).float()
    assert torch.equal(layer.matrix.input_scale, stored.input_scale)
    assert torch.equal(layer.matrix.output_scale, stored.output_scale)
    assert layer.bias.dtype == torch.float32


def test_a_copy_computes_the_same():
    layer, x = OneBitLinear.from_matrix(matrix()), torch.randn(2, 45)
    assert torch.equal(copy.deepcopy(layer)(x), layer(x))


def test_a_scale_that_is_not_finite_is_named():
    layer = OneBitLinear.from_matrix(matrix())
    layer.output_scale[3] = float("nan")
    with pytest.raises(CheckpointError, match=r"block\.q_proj\.output_scale holds nan at \[3\]"):
        layer.check("block.q_proj")
