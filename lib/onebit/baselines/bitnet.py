"""BitNet's linear layer, the paper's point of comparison: one scalar scale in place of two vectors.

    S = sign(A - mean(A)),  s = mean(|A - mean(A)|)

"paper" (Eq. 2): Z = s * LayerNorm(X S^T). "repository" (BitLinearBaseline, dead code of the release):
Z = s * (LayerNorm(X) S^T). The LayerNorm has no weights. Latents start as the teacher's weights (Fig. 6).
"""

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import nn

from lib.onebit.baselines.rounding import check_trainable
from lib.onebit.training.layer import NORM_EPS
from lib.onebit.training.straight_through import Estimator, straight_through_sign

Variant = Literal["paper", "repository"]


class BitNetLinear(nn.Module):
    """Signs and one scale, trainable.

    Attributes:
        latent: A, [m, n].
        bias: [m] or None; added last.
        variant: Where the LayerNorm stands.
        estimator: Gradient of the sign.
    """

    def __init__(
        self,
        latent: torch.Tensor,
        bias: torch.Tensor | None = None,
        *,
        variant: Variant = "paper",
        estimator: Estimator = "tanh",
    ) -> None:
        super().__init__()
        if variant not in get_args(Variant):
            raise ValueError(f"there is no variant {variant!r}; choose one of {', '.join(get_args(Variant))}")
        self.latent = nn.Parameter(latent.detach().float().clone())
        self.bias = None if bias is None else nn.Parameter(bias.detach().clone())
        self.variant: Variant = variant
        self.estimator: Estimator = estimator

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return the layer's outputs, [..., m], for inputs [..., n]."""
        centred = self.latent - self.latent.mean()
        signs = straight_through_sign(centred, self.estimator).to(inputs.dtype)
        if self.variant == "repository":
            inputs = _normalised(inputs)
        outputs = nn.functional.linear(inputs, signs.to(inputs.dtype))
        if self.variant == "paper":
            outputs = _normalised(outputs)
        outputs = outputs * centred.abs().mean().to(outputs.dtype)
        return outputs if self.bias is None else outputs + self.bias.to(outputs.dtype)

    def signed_weight(self) -> torch.Tensor:
        """Return what the layer takes the signs of: A - mean(A), [m, n], without gradient."""
        latent = self.latent.detach()
        return latent - latent.mean()

    def extra_repr(self) -> str:
        """Return what stands between the brackets of the layer's repr."""
        m, n = self.latent.shape
        return f"{n} -> {m}, variant={self.variant}, bias={self.bias is not None}"


@dataclass(frozen=True)
class BitNetForm:
    """What a student's layers look like.

    Attributes:
        variant: Where the LayerNorm stands.
        estimator: Gradient of the sign.
    """

    variant: Variant = "paper"
    estimator: Estimator = "tanh"

    def make_layer(self, linear: nn.Linear, name: str) -> nn.Module:
        """Return the trainable layer that takes a dense layer's place; it starts from its weights."""
        check_trainable(linear.weight, f"{name}.weight")
        return BitNetLinear(linear.weight, linear.bias, variant=self.variant, estimator=self.estimator)


def _normalised(values: torch.Tensor) -> torch.Tensor:
    return nn.functional.layer_norm(values, values.shape[-1:], eps=NORM_EPS)
