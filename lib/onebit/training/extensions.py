"""Two forms beyond the paper's, both with one sign a weight: magnitudes of a higher rank, and experts of value vectors.

Rank k: W' = S * (H^T G) with k pairs of value vectors, H [k, m], G [k, n]; k = 1 is the paper's form without its
LayerNorm. The released code has traces of an abandoned k = 4. Stored: 1 + 16 k (1/m + 1/n) bits a weight.

Scaling experts, after BinaryMoS (Jo et al., NeurIPS 2024): every token mixes e pairs of value vectors of its own,

    p = softmax(X R)  [..., e],    Y = ((X * (p G)) S^T) * (p H)

with a router R [n, e]. Stored: 1 + 16 e (1/m + 1/n + 1/m) bits a weight; the router is the last term.
"""

from dataclasses import dataclass

import torch
from torch import nn

from lib.onebit.svid import sign
from lib.onebit.training.starts import SVID_KEEPING_WEIGHTS, Start, start_layer
from lib.onebit.training.straight_through import straight_through_sign

_ROUTER_STD = 0.02


class RankKLinear(nn.Module):
    """Signs times a matrix of magnitudes of rank k, trainable.

    Attributes:
        latent: A, [m, n].
        input_scales: G, [k, n].
        output_scales: H, [k, m].
        bias: [m] or None.
    """

    def __init__(
        self,
        latent: torch.Tensor,
        input_scales: torch.Tensor,
        output_scales: torch.Tensor,
        bias: torch.Tensor | None = None,
    ) -> None:
        super().__init__()
        self.latent = nn.Parameter(latent.detach().clone())
        self.input_scales = nn.Parameter(input_scales.detach().clone())
        self.output_scales = nn.Parameter(output_scales.detach().clone())
        self.bias = None if bias is None else nn.Parameter(bias.detach().clone())

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return the layer's outputs, [..., m], for inputs [..., n]."""
        # Building S * (H^T G) costs k m n once; k products with every token would cost k m n each.
        weight = straight_through_sign(self.latent) * (self.output_scales.T @ self.input_scales)
        bias = None if self.bias is None else self.bias.to(inputs.dtype)
        return nn.functional.linear(inputs, weight.to(inputs.dtype), bias)

    def signed_weight(self) -> torch.Tensor:
        """Return what the layer takes the signs of, [m, n], without gradient."""
        return self.latent.detach()

    def extra_repr(self) -> str:
        """Return what stands between the brackets of the layer's repr."""
        m, n = self.latent.shape
        return f"{n} -> {m}, rank={len(self.input_scales)}, bias={self.bias is not None}"


class ExpertsLinear(nn.Module):
    """Signs times value vectors that every token mixes for itself, trainable.

    Attributes:
        latent: A, [m, n].
        input_scales: G, [e, n].
        output_scales: H, [e, m].
        router: R, [n, e].
        bias: [m] or None.
    """

    def __init__(
        self,
        latent: torch.Tensor,
        input_scales: torch.Tensor,
        output_scales: torch.Tensor,
        router: torch.Tensor,
        bias: torch.Tensor | None = None,
    ) -> None:
        super().__init__()
        self.latent = nn.Parameter(latent.detach().clone())
        self.input_scales = nn.Parameter(input_scales.detach().clone())
        self.output_scales = nn.Parameter(output_scales.detach().clone())
        self.router = nn.Parameter(router.detach().clone())
        self.bias = None if bias is None else nn.Parameter(bias.detach().clone())

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return the layer's outputs, [..., m], for inputs [..., n]."""
        dtype = inputs.dtype
        shares = (inputs.float() @ self.router).softmax(-1)  # p, [..., e]; fp32: near ties decide who learns
        scaled = inputs * (shares @ self.input_scales).to(dtype)
        outputs = nn.functional.linear(scaled, straight_through_sign(self.latent).to(dtype))
        outputs = outputs * (shares @ self.output_scales).to(outputs.dtype)
        return outputs if self.bias is None else outputs + self.bias.to(outputs.dtype)

    def signed_weight(self) -> torch.Tensor:
        """Return what the layer takes the signs of, [m, n], without gradient."""
        return self.latent.detach()

    def extra_repr(self) -> str:
        """Return what stands between the brackets of the layer's repr."""
        m, n = self.latent.shape
        return f"{n} -> {m}, experts={len(self.input_scales)}, bias={self.bias is not None}"


@dataclass(frozen=True)
class RankKForm:
    """Layers of rank k, started from the k largest singular triples of |W|.

    Attributes:
        rank: k.
        start: Signs and latent weights; its value vectors are not used.
    """

    rank: int = 2
    start: Start = SVID_KEEPING_WEIGHTS

    def __post_init__(self) -> None:
        if self.rank < 1:
            raise ValueError(
                f"a layer's rank is 1 or more, got {self.rank}; 1 is the paper's form without its LayerNorm"
            )

    def make_layer(self, linear: nn.Linear, name: str) -> nn.Module:
        """Return the trainable layer that takes a dense layer's place.

        Raises:
            ValueError: The weight cannot be started from, or has no so many singular triples.
        """
        if self.rank > min(linear.weight.shape):
            raise ValueError(
                f"{name}.weight is {list(linear.weight.shape)} and has no {self.rank} singular triples; take a rank of "
                f"at most {min(linear.weight.shape)}"
            )
        first = start_layer(linear.weight, self.start, f"{name}.weight")
        U, S, Vh = torch.linalg.svd(linear.weight.detach().double().abs(), full_matrices=False)
        root = S[: self.rank, None].sqrt()
        return RankKLinear(
            first.latent,
            (root * Vh[: self.rank]).float() * _positive(Vh[0]),
            (root * U[:, : self.rank].T).float() * _positive(U[:, 0]),
            linear.bias,
        )

    def bits_per_weight(self, m: int, n: int) -> float:
        """Return the stored bits of a layer [m, n], divided by m n."""
        return 1 + 16 * self.rank * (1 / m + 1 / n)


@dataclass(frozen=True)
class ExpertsForm:
    """Layers with experts, all started from the same value vectors and told apart by a random router.

    Attributes:
        experts: e; BinaryMoS has 4.
        start: Signs, latent weights and value vectors.
        seed: Of the routers.
    """

    experts: int = 4
    start: Start = SVID_KEEPING_WEIGHTS
    seed: int = 0

    def __post_init__(self) -> None:
        if self.experts < 1:
            raise ValueError(f"a layer has 1 expert or more, got {self.experts}; BinaryMoS has 4")

    def make_layer(self, linear: nn.Linear, name: str) -> nn.Module:
        """Return the trainable layer that takes a dense layer's place."""
        first = start_layer(linear.weight, self.start, f"{name}.weight")
        dice = torch.Generator().manual_seed(self.seed)
        router = torch.randn(linear.in_features, self.experts, generator=dice) * _ROUTER_STD
        return ExpertsLinear(
            first.latent,
            first.input_scale.expand(self.experts, -1),
            first.output_scale.expand(self.experts, -1),
            router.to(first.latent.device),
            linear.bias,
        )

    def bits_per_weight(self, m: int, n: int) -> float:
        """Return the stored bits of a layer [m, n], divided by m n."""
        return 1 + 16 * self.experts * (2 / m + 1 / n)


def _positive(first: torch.Tensor) -> float:
    """Return the sign that makes the first singular vector, which has one sign, positive."""
    return float(sign(first.sum()))
