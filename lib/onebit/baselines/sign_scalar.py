"""One sign a weight and one scale for the whole matrix, trained: what OneBit's two vectors are worth.

    W' = s sign(A),  Y = X W'^T + bias

A starts as the teacher's weights and s as mean(|W|), the best single scale. Stored: 1 + 16 / (m n) bits a weight.
"""

from dataclasses import dataclass

import torch
from torch import nn

from lib.onebit.baselines.rounding import check_trainable
from lib.onebit.training.straight_through import straight_through_sign


class SignScalarLinear(nn.Module):
    """Signs and one scale, trainable, without a LayerNorm.

    Attributes:
        latent: A, [m, n].
        scale: s, a scalar.
        bias: [m] or None.
    """

    def __init__(self, latent: torch.Tensor, bias: torch.Tensor | None = None) -> None:
        super().__init__()
        latent = latent.detach().float()
        self.latent = nn.Parameter(latent.clone())
        self.scale = nn.Parameter(latent.abs().mean())
        self.bias = None if bias is None else nn.Parameter(bias.detach().clone())

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return the layer's outputs, [..., m], for inputs [..., n]."""
        signs = straight_through_sign(self.latent).to(inputs.dtype)
        outputs = nn.functional.linear(inputs, signs)
        outputs = outputs * self.scale.to(outputs.dtype)
        return outputs if self.bias is None else outputs + self.bias.to(outputs.dtype)

    def signed_weight(self) -> torch.Tensor:
        """Return what the layer takes the signs of, [m, n], without gradient."""
        return self.latent.detach()

    def extra_repr(self) -> str:
        """Return what stands between the brackets of the layer's repr."""
        m, n = self.latent.shape
        return f"{n} -> {m}, bias={self.bias is not None}"


@dataclass(frozen=True)
class SignScalarForm:
    """What a student's layers look like."""

    def make_layer(self, linear: nn.Linear, name: str) -> nn.Module:
        """Return the trainable layer that takes a dense layer's place; it starts from its weights."""
        check_trainable(linear.weight, f"{name}.weight")
        return SignScalarLinear(linear.weight, linear.bias)

    def bits_per_weight(self, m: int, n: int) -> float:
        """Return the stored bits of a layer [m, n], divided by m n."""
        return 1 + 16 / (m * n)
