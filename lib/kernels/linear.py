"""The layer of OneBit on packed weights, one call for every device.

    Y = ((X ⊙ g) Sᵀ) ⊙ h,   Z = LayerNorm(Y) + b        `specification.sign_linear` in plain torch

Where the weights are, and in what order, decides who computes it: the CPU's order `sign_matmul_cpu`, the GPU's order on
a GPU the Triton kernels, the GPU's order on a CPU Triton's interpreter (TRITON_INTERPRET=1). torch.compile sees one
opaque operator (`operator.py`). Where a gradient is asked for, the dense specification computes it.
"""

from typing import TYPE_CHECKING

from lib.kernels import layout, specification

if TYPE_CHECKING:
    import torch


def sign_linear(
    x: "torch.Tensor",
    words: "torch.Tensor",
    input_scale: "torch.Tensor",
    output_scale: "torch.Tensor",
    bias: "torch.Tensor | None" = None,
    layer_norm: bool = False,
    eps: float = 1e-5,
) -> "torch.Tensor":
    """Return the layer's output, [..., out], in the dtype of x; sums are fp32.

    Args:
        x: Activations [..., in]; float32, float16 or bfloat16.
        words: Packed weights as `repack` returns them for the device of x.
        input_scale: g [in], any floating type.
        output_scale: h [out].
        bias: b [out], added after the normalisation.
        layer_norm: Whether each row is normalised over the outputs, as the paper does.
        eps: ε of the normalisation.

    Raises:
        TypeError: A tensor's dtype is not one of those named.
        ValueError: Shapes or devices do not fit together, or the weights are in the order of another device.
    """
    import torch

    tensors = (x, input_scale, output_scale, bias)
    if torch.is_grad_enabled() and any(tensor is not None and tensor.requires_grad for tensor in tensors):
        check(x, words, input_scale, output_scale, bias)
        return _differentiable(x, words, input_scale, output_scale, bias, layer_norm, eps)
    if torch.compiler.is_compiling() or type(x) not in (torch.Tensor, torch.nn.Parameter):
        from lib.kernels import operator  # noqa: F401, registers it

        return torch.ops.sixpapers.sign_linear(x, words, input_scale, output_scale, bias, layer_norm, eps)
    return compute(x, words, input_scale, output_scale, bias, layer_norm, eps)  # saves the operator's overhead


def check(
    x: "torch.Tensor",
    words: "torch.Tensor",
    input_scale: "torch.Tensor",
    output_scale: "torch.Tensor",
    bias: "torch.Tensor | None",
) -> str:
    """Return the order of `words`, "cpu" or "gpu", or raise the errors that `sign_linear` names."""
    import torch

    if x.dtype not in (torch.float32, torch.float16, torch.bfloat16):
        raise TypeError(f"x is {x.dtype}; sign_linear takes float32, float16 or bfloat16 activations")
    named = {"input_scale": input_scale, "output_scale": output_scale} | ({} if bias is None else {"bias": bias})
    for name, vector in named.items():
        if not vector.is_floating_point():
            raise TypeError(f"{name} is {vector.dtype}; sign_linear takes any floating type")
        if vector.ndim != 1:
            raise ValueError(f"{name} has the shape {list(vector.shape)}; sign_linear takes a vector")
    if x.ndim == 0 or x.shape[-1] != input_scale.shape[0]:
        raise ValueError(f"x has the shape {list(x.shape)}, but input_scale says {input_scale.shape[0]} inputs")
    if bias is not None and bias.shape[0] != output_scale.shape[0]:
        raise ValueError(f"bias has {bias.shape[0]} values, but output_scale says {output_scale.shape[0]} outputs")
    for name, tensor in ({"words": words} | named).items():
        if tensor.device != x.device:
            raise ValueError(f"x is on {x.device}, but {name} on {tensor.device}: move them to one device")
    return layout.layout_of(words, output_scale.shape[0], input_scale.shape[0])


def compute(
    x: "torch.Tensor",
    words: "torch.Tensor",
    input_scale: "torch.Tensor",
    output_scale: "torch.Tensor",
    bias: "torch.Tensor | None" = None,
    layer_norm: bool = False,
    eps: float = 1e-5,
) -> "torch.Tensor":
    """Return what `sign_linear` returns, without gradients. Arguments and errors as there."""
    order, outputs = check(x, words, input_scale, output_scale, bias), output_scale.shape[0]
    rows, on_cpu = x.reshape(-1, x.shape[-1]), x.device.type == "cpu"
    if order == "cpu" and on_cpu:
        y = _on_cpu(rows, words, input_scale, output_scale, bias, layer_norm, eps)
    elif order == "gpu" and (not on_cpu or layout.interpreted()):
        y = _on_gpu(rows, words, input_scale, output_scale, bias, layer_norm, eps)
    else:
        raise ValueError(
            f"the weights are in the {order.upper()}'s order, but on {x.device}: restore them and repack them for it"
            + (", or set TRITON_INTERPRET=1 to run the GPU's kernels slowly on the CPU" if on_cpu else "")
        )
    return y.reshape(*x.shape[:-1], outputs)


def _on_cpu(
    x: "torch.Tensor",
    words: "torch.Tensor",
    input_scale: "torch.Tensor",
    output_scale: "torch.Tensor",
    bias: "torch.Tensor | None",
    layer_norm: bool,
    eps: float,
) -> "torch.Tensor":
    import torch

    from lib.kernels.sign_matmul_cpu import sign_matmul_cpu

    y = sign_matmul_cpu(x, words, input_scale, output_scale)
    if layer_norm:
        y = torch.nn.functional.layer_norm(y, y.shape[-1:], eps=eps)
    return (y if bias is None else y + bias).to(x.dtype)


def _on_gpu(x: "torch.Tensor", *arguments: object) -> "torch.Tensor":
    import torch

    from lib.kernels.sign_matmul_gpu import sign_matmul_gpu

    if x.device.type == "cpu":
        return sign_matmul_gpu(x, *arguments)
    with torch.cuda.device(x.device):  # Triton launches on the current device
        return sign_matmul_gpu(x, *arguments)


def _differentiable(
    x: "torch.Tensor",
    words: "torch.Tensor",
    input_scale: "torch.Tensor",
    output_scale: "torch.Tensor",
    bias: "torch.Tensor | None",
    layer_norm: bool,
    eps: float,
) -> "torch.Tensor":
    """By the specification with unpacked weights: out · in numbers for as long as the gradient needs them."""
    packed = layout.restore(words, output_scale.shape[0], input_scale.shape[0])
    dense = layout.signs(packed, input_scale.shape[0], x.dtype)
    g, h, b = (None if vector is None else vector.to(x.dtype) for vector in (input_scale, output_scale, bias))
    return specification.sign_linear(x, dense, g, h, b, layer_norm, eps)
