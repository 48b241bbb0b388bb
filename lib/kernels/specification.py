"""What the kernels compute, in plain torch: the layer of OneBit with its sign matrix unpacked.

    Y = ((X ⊙ g) Sᵀ) ⊙ h            S = ±1 [out, in], g [in], h [out]      (OneBit, arXiv 2402.11295, Eq. 3)
    Z = LayerNorm(Y) + b             over the outputs of each row, without an affine part; both optional

In float64 it is the reference that errors are measured against; in a 16-bit type it is the error that a kernel of that
type is allowed (twice of it, as in FlashAttention's tests).
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def sign_matmul(
    x: "torch.Tensor", signs: "torch.Tensor", input_scale: "torch.Tensor", output_scale: "torch.Tensor"
) -> "torch.Tensor":
    """Return ((x ⊙ g) Sᵀ) ⊙ h, [..., out], for x [..., in], S = `signs` [out, in], g [in] and h [out]."""
    return ((x * input_scale) @ signs.T) * output_scale


def sign_linear(
    x: "torch.Tensor",
    signs: "torch.Tensor",
    input_scale: "torch.Tensor",
    output_scale: "torch.Tensor",
    bias: "torch.Tensor | None" = None,
    layer_norm: bool = False,
    eps: float = 1e-5,
) -> "torch.Tensor":
    """Return `sign_matmul`, normalised over the outputs if `layer_norm`, plus `bias` [out] if there is one."""
    import torch

    y = sign_matmul(x, signs, input_scale, output_scale)
    if layer_norm:
        y = torch.nn.functional.layer_norm(y, y.shape[-1:], eps=eps)
    return y if bias is None else y + bias
