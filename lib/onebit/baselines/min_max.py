"""Two bits, trained: the paper's LLM-QAT baseline, W2A16, min-max grids, trained like the OneBit student (App. A.2).

Forward: W' = nearest value of the row's grid, Y = X W'^T + bias. Backward: the rounding passes the gradient on
unchanged (the straight-through estimator), and the step follows the largest weight of the moment.
"""

from dataclasses import dataclass

import torch
from torch import nn

from lib.onebit.baselines.grids import round_to_nearest, row_grid
from lib.onebit.baselines.rounding import check_trainable


class MinMaxLinear(nn.Module):
    """A linear layer whose weights are rounded at every step.

    Attributes:
        weight: W in full precision, [m, n]; trained.
        bias: [m] or None.
        bits: Bits a code.
        symmetric: Kind of grid.
    """

    def __init__(
        self, weight: torch.Tensor, bias: torch.Tensor | None = None, *, bits: int = 2, symmetric: bool = True
    ) -> None:
        super().__init__()
        row_grid(weight, bits, symmetric)  # bits out of range fail here, not at the first step
        self.weight = nn.Parameter(weight.detach().float().clone())
        self.bias = None if bias is None else nn.Parameter(bias.detach().clone())
        self.bits = bits
        self.symmetric = symmetric

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return the layer's outputs, [..., m], for inputs [..., n]."""
        rounded = self.weight + (self.dequantise() - self.weight).detach()
        bias = None if self.bias is None else self.bias.to(inputs.dtype)
        return nn.functional.linear(inputs, rounded.to(inputs.dtype), bias)

    def dequantise(self) -> torch.Tensor:
        """Return the matrix that the layer multiplies by, [m, n]."""
        with torch.no_grad():
            return round_to_nearest(self.weight, self.bits, self.symmetric)

    def extra_repr(self) -> str:
        """Return what stands between the brackets of the layer's repr."""
        m, n = self.weight.shape
        return f"{n} -> {m}, bits={self.bits}, symmetric={self.symmetric}, bias={self.bias is not None}"


@dataclass(frozen=True)
class MinMaxForm:
    """What a student's layers look like.

    Attributes:
        bits: Bits a code.
        symmetric: Kind of grid; LLM-QAT's is symmetric.
    """

    bits: int = 2
    symmetric: bool = True

    def make_layer(self, linear: nn.Linear, name: str) -> nn.Module:
        """Return the trainable layer that takes a dense layer's place; it starts from its weights."""
        check_trainable(linear.weight, f"{name}.weight")
        return MinMaxLinear(linear.weight, linear.bias, bits=self.bits, symmetric=self.symmetric)
