import subprocess
import sys

import pytest
import torch

from lib.checkout import Checkout
from lib.kernels import layout, linear, sign_linear, specification


def layer(out_features: int = 96, in_features: int = 130, dtype: torch.dtype = torch.float32):
    """Packed weights, g, h and b of a layer."""
    generator = torch.Generator().manual_seed(0)
    packed = torch.randint(0, 256, (out_features, -(-in_features // 8)), dtype=torch.uint8, generator=generator)
    vectors = (torch.rand(in_features, generator=generator) + 0.5, torch.randn(out_features, generator=generator))
    return packed, *(vector.to(dtype) for vector in (*vectors, torch.randn(out_features, generator=generator)))


def exact(x, packed, g, h, bias, layer_norm):
    vectors = (None if vector is None else vector.double() for vector in (g, h, bias))
    return specification.sign_linear(x.double(), layout.signs(packed, len(g)).double(), *vectors, layer_norm)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("layer_norm", [False, True])
@pytest.mark.parametrize("with_bias", [False, True])
def test_the_layer_agrees_with_its_specification(dtype, layer_norm, with_bias):
    packed, g, h, bias = layer(dtype=dtype)
    bias = bias if with_bias else None
    x = torch.randn(2, 3, 130).to(dtype)
    y = sign_linear(x, layout.repack(packed, 130), g, h, bias, layer_norm)
    reference = exact(x, packed, g, h, bias, layer_norm)
    assert y.shape == (2, 3, 96)
    assert y.dtype == dtype
    assert (y.double() - reference).norm() / reference.norm() < max(1e-5, torch.finfo(dtype).eps / 2)


def test_one_vector_without_a_batch_is_a_product_too():
    packed, g, h, _ = layer()
    x = torch.randn(130)
    assert torch.allclose(
        sign_linear(x, layout.repack(packed, 130), g, h).double(),
        exact(x, packed, g, h, None, False),
        rtol=1e-4,
        atol=1e-4,
    )


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_compiled_code_has_the_layer_as_one_operator_without_a_break(backend):
    packed, g, h, bias = layer()
    words = layout.repack(packed, 130)

    def block(x):
        return torch.relu(sign_linear(x * 2, words, g, h, bias, layer_norm=True)) + 1

    x = torch.randn(4, 130)
    with torch.no_grad():
        compiled = torch.compile(block, backend=backend, fullgraph=True)
        assert torch.equal(compiled(x), block(x))


def test_the_operator_says_the_shape_that_it_computes():
    from lib.kernels import operator  # noqa: F401, registers it

    packed, g, h, bias = layer()
    arguments = (torch.randn(2, 3, 130), layout.repack(packed, 130), g, h, bias, True, 1e-5)
    torch.library.opcheck(
        torch.ops.sixpapers.sign_linear.default, arguments, test_utils=("test_schema", "test_faketensor")
    )


@pytest.mark.parametrize("layer_norm", [False, True])
def test_gradients_are_those_of_the_specification(layer_norm):
    packed, *vectors = layer()
    inputs = [torch.randn(5, 130), *vectors]
    words, signs = layout.repack(packed, 130), layout.signs(packed, 130)
    ours = [tensor.clone().requires_grad_() for tensor in inputs]
    theirs = [tensor.clone().requires_grad_() for tensor in inputs]
    sign_linear(ours[0], words, *ours[1:], layer_norm).square().sum().backward()
    specification.sign_linear(theirs[0], signs, *theirs[1:], layer_norm).square().sum().backward()
    for mine, other in zip(ours, theirs, strict=True):
        assert torch.allclose(mine.grad, other.grad, rtol=1e-4, atol=1e-3)


def wrong(**changes):
    packed, g, h, bias = layer()
    right = {
        "x": torch.randn(2, 130),
        "words": layout.repack(packed, 130),
        "input_scale": g,
        "output_scale": h,
        "bias": bias,
    }
    return right | changes


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"x": torch.randn(2, 131)}, ValueError, r"x has the shape \[2, 131\], but input_scale says 130 inputs"),
        ({"x": torch.ones(2, 130, dtype=torch.float64)}, TypeError, r"x is torch\.float64"),
        ({"x": torch.ones(())}, ValueError, r"x has the shape \[\]"),
        ({"input_scale": torch.ones(130, dtype=torch.int32)}, TypeError, r"input_scale is torch\.int32"),
        ({"output_scale": torch.ones(96, 1)}, ValueError, r"output_scale has the shape \[96, 1\].*a vector"),
        ({"bias": torch.ones(95)}, ValueError, "bias has 95 values, but output_scale says 96 outputs"),
        ({"words": torch.zeros(6, 5, 15, dtype=torch.int32)}, ValueError, r"int32 \[6, 5, 16\] on a CPU.*repack"),
        ({"words": torch.zeros(96, 17, dtype=torch.uint8)}, ValueError, r"weights are torch\.uint8 \[96, 17\]"),
        ({"output_scale": torch.ones(96, device="meta")}, ValueError, "x is on cpu, but output_scale on meta"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(changes, error, message):
    with pytest.raises(error, match=message):
        sign_linear(**wrong(**changes))


def test_a_gradient_does_not_excuse_what_does_not_fit():
    with pytest.raises(ValueError, match="input_scale says 130"):
        sign_linear(**wrong(x=torch.randn(2, 131, requires_grad=True)))


def test_weights_in_the_gpus_order_need_a_gpu_or_the_interpreter(monkeypatch):
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    packed, *_ = layer()
    with pytest.raises(ValueError, match=r"GPU's order, but on cpu: restore them.*TRITON_INTERPRET=1"):
        sign_linear(**wrong(words=layout.to_layout(packed, 130, "gpu")))


def test_with_the_interpreter_a_cpu_gets_weights_in_the_gpus_order(monkeypatch):
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    packed, *_ = layer()
    words = layout.repack(packed, 130)
    assert layout.layout_of(words, 96, 130) == "gpu"


def test_importing_the_kernels_imports_nothing_heavy():
    code = (
        "import sys, lib.kernels; print(sorted({'torch', 'triton', 'llvmlite', 'numba', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=Checkout().root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_order_of_the_weights_is_told_by_their_shape():
    packed, g, h, _ = layer()
    x = torch.randn(1, 130)
    assert linear.check(x, layout.to_layout(packed, 130, "cpu"), g, h, None) == "cpu"
    assert linear.check(x, layout.to_layout(packed, 130, "gpu"), g, h, None) == "gpu"
