"""The OneBit linear layer while it is trained (sections 3.2 and 3.4).

    S = sign(A)                           A: the latent weights, [m, n]
    Y = ((X * g) S^T) * h                 Eq. 3; X [..., n], g [n], h [m]
    Z = LayerNorm(Y)                      over the m outputs, without weights of its own, eps 1e-5
    output = Z + bias                     where the original layer has one

After training only the sign bits of A, g, h and the bias are kept. With the LayerNorm, the lengths of g and of h are
invisible: only ratios within each matter, and every output has unit variance.
"""

import torch
from torch import nn

from lib.onebit.svid import sign
from lib.onebit.training.straight_through import Estimator, straight_through_sign

NORM_EPS = 1e-5


class OneBitLinear(nn.Module):
    """One sign a weight and two value vectors, trainable.

    Attributes:
        latent: A, [m, n]; only its signs enter the product.
        input_scale: g, [n].
        output_scale: h, [m].
        bias: [m] or None; added after the LayerNorm.
        post_norm: Whether the outputs are normalised (Eq. 3), the paper's form.
        estimator: Gradient of the sign.
    """

    def __init__(
        self,
        latent: torch.Tensor,
        input_scale: torch.Tensor,
        output_scale: torch.Tensor,
        bias: torch.Tensor | None = None,
        *,
        post_norm: bool = True,
        estimator: Estimator = "tanh",
    ) -> None:
        super().__init__()
        _check_shapes(latent, input_scale, output_scale, bias)
        self.latent = nn.Parameter(latent.detach().clone())
        self.input_scale = nn.Parameter(input_scale.detach().clone())
        self.output_scale = nn.Parameter(output_scale.detach().clone())
        self.bias = None if bias is None else nn.Parameter(bias.detach().clone())
        self.post_norm = post_norm
        self.estimator: Estimator = estimator

    @property
    def in_features(self) -> int:
        """n, the number of inputs."""
        return self.latent.shape[1]

    @property
    def out_features(self) -> int:
        """m, the number of outputs."""
        return self.latent.shape[0]

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return the layer's outputs, [..., m], for inputs [..., n]."""
        signs = straight_through_sign(self.latent, self.estimator).to(inputs.dtype)
        outputs = nn.functional.linear(inputs * self.input_scale.to(inputs.dtype), signs)
        outputs = outputs * self.output_scale.to(outputs.dtype)
        if self.post_norm:
            outputs = nn.functional.layer_norm(outputs, outputs.shape[-1:], eps=NORM_EPS)
        return outputs if self.bias is None else outputs + self.bias.to(outputs.dtype)

    def signed_weight(self) -> torch.Tensor:
        """Return what the layer takes the signs of: A, [m, n], without gradient."""
        return self.latent.detach()

    def dequantise(self) -> torch.Tensor:
        """Return S * (h g^T), [m, n]: the dense matrix that the layer multiplies by, before its LayerNorm."""
        with torch.no_grad():
            return sign(self.latent) * self.output_scale[:, None] * self.input_scale

    def extra_repr(self) -> str:
        """Return what stands between the brackets of the layer's repr."""
        return f"{self.in_features} -> {self.out_features}, post_norm={self.post_norm}, bias={self.bias is not None}"


def _check_shapes(latent: torch.Tensor, g: torch.Tensor, h: torch.Tensor, bias: torch.Tensor | None) -> None:
    if latent.ndim != 2:
        raise ValueError(f"latent has shape {tuple(latent.shape)}; expected a matrix [outputs, inputs]")
    m, n = latent.shape
    vectors = {"input_scale": (g, n), "output_scale": (h, m), "bias": (bias, m)}
    for name, (vector, size) in vectors.items():
        if vector is not None and tuple(vector.shape) != (size,):
            raise ValueError(f"{name} has shape {tuple(vector.shape)}; a latent of {m} x {n} needs ({size},)")
