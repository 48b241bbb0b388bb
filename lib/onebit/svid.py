"""Sign-value-independent decomposition (section 3.3): W ~ sign(W) * (h g^T).

The signs carry one bit a weight; the magnitudes |W| are replaced by their best rank-1 approximation, an outer product
of two vectors. Among all S * (h g^T) with S in {-1, +1} it is the closest to W in the Frobenius norm, because
<W, S * h g^T> <= <|W|, |h| |g|^T>.
"""

from dataclasses import dataclass
from math import pi, sqrt
from typing import TYPE_CHECKING, Literal, get_args

from lib.onebit.rank_one import RankOne, alternating

if TYPE_CHECKING:
    import torch

Split = Literal["balanced", "nmf", "output", "input"]


@dataclass(frozen=True)
class Svid:
    """The three parts of a decomposed weight matrix [m, n].

    Attributes:
        sign_weight: S = sign(W), -1 or +1, int8 [m, n].
        output_scale: h, [m], not negative; 0 for an all-zero row.
        input_scale: g, [n], not negative; 0 for an all-zero column.
        singular_value: sigma_1(|W|), the length of h g^T.
        steps: Alternating steps that it took.
    """

    sign_weight: "torch.Tensor"
    output_scale: "torch.Tensor"
    input_scale: "torch.Tensor"
    singular_value: float
    steps: int

    def reconstruct(self) -> "torch.Tensor":
        """Return S * (h g^T), [m, n]."""
        return self.sign_weight * self.output_scale[:, None] * self.input_scale

    def __repr__(self) -> str:
        m, n = self.sign_weight.shape
        return f"Svid({m} x {n}, singular_value={self.singular_value:.6g}, steps={self.steps})"


def svid(weight: "torch.Tensor", split: Split = "balanced", name: str = "weight") -> Svid:
    """Return the decomposition of a weight matrix.

    Args:
        weight: W, [m, n] (outputs, inputs), any floating type; computed in float64, returned in float32 (float64 for a
            float64 matrix).
        split: How sigma_1 is shared, which changes no product h g^T. "balanced": h and g of equal length, the square
            root on each side. "nmf": mean(h) / mean(g) = 2 / pi, as one-component NMF from scikit-learn's random start
            leaves it on average. "output": all of it on h, mean(g) = 1. "input": all of it on g, mean(h) = 1.
        name: What error messages call the matrix.

    Raises:
        TypeError: W is no tensor.
        ValueError: W is no matrix of finite floating-point numbers, or the split is unknown.
    """
    import torch

    _check(weight, split, name)
    rank_one = alternating(weight.abs())
    h, g = _share(rank_one, split)
    dtype = torch.float64 if weight.dtype == torch.float64 else torch.float32
    sign_weight = sign(weight).to(torch.int8)
    return Svid(sign_weight, h.to(dtype), g.to(dtype), rank_one.singular_value, rank_one.steps)


def sign(weight: "torch.Tensor") -> "torch.Tensor":
    """Return -1 where a weight is below zero, else +1, in its own dtype and shape.

    Zero counts as +1, also the negative one. The paper's training code lets sign(0) be 0 while its packing makes it
    +1; SmolLM2 has 33,483 exact zeros, so one rule has to hold everywhere.
    """
    # In place, three times as fast as choosing between two tensors: new memory is what costs here.
    return (weight < 0).to(weight.dtype).mul_(-2).add_(1)


def onebit_linear(
    inputs: "torch.Tensor", sign_weight: "torch.Tensor", input_scale: "torch.Tensor", output_scale: "torch.Tensor"
) -> "torch.Tensor":
    """Return Y = ((X * g) S^T) * h (Eq. 3 without its LayerNorm): the layer, never building h g^T.

    Args:
        inputs: X, [..., n].
        sign_weight: S, [m, n].
        input_scale: g, [n].
        output_scale: h, [m].
    """
    return ((inputs * input_scale) @ sign_weight.to(inputs.dtype).T) * output_scale


def relative_error(weight: "torch.Tensor", approximation: "torch.Tensor") -> float:
    """Return ||W - W'||_F^2 / ||W||_F^2; 0 where both are zero, infinity where only W is.

    Args:
        weight: W, [m, n], any floating type; computed in float32 at least.
        approximation: W', [m, n].

    Raises:
        ValueError: The shapes differ.
    """
    if weight.shape != approximation.shape:
        raise ValueError(f"W is {list(weight.shape)}, its approximation {list(approximation.shape)}; they must agree")
    weight, approximation = _at_least_float32(weight), _at_least_float32(approximation)
    energy, missed = _sum(weight.square()), _sum((weight - approximation).square_())
    return missed / energy if energy else (float("inf") if missed else 0.0)


def _sum(squares: "torch.Tensor") -> float:
    """Return the sum of a matrix: rows in its own dtype, the rows' sums in float64; off by about 1e-9 of it."""
    import torch

    return squares.sum(dim=1).sum(dtype=torch.float64).item()


def _at_least_float32(matrix: "torch.Tensor") -> "torch.Tensor":
    return matrix.float() if matrix.dtype.itemsize < 4 else matrix


def _check(weight: "torch.Tensor", split: str, name: str) -> None:
    import torch

    if not isinstance(weight, torch.Tensor):
        raise TypeError(f"{name} is a {type(weight).__name__}; SVID takes a torch.Tensor (torch.as_tensor makes one)")
    if weight.ndim != 2 or weight.numel() == 0:
        raise ValueError(f"{name} has shape {tuple(weight.shape)}; SVID decomposes a matrix [outputs, inputs]")
    if not weight.is_floating_point():
        raise ValueError(f"{name} has dtype {weight.dtype}; SVID decomposes floating-point weights")
    if weight.dtype.itemsize == 1:
        raise ValueError(f"{name} has dtype {weight.dtype}, whose scales are stored apart; dequantise it first")
    finite = weight.isfinite()
    if not finite.all():
        row, column = (~finite).nonzero()[0].tolist()
        raise ValueError(f"{name} holds {weight[row, column].item()} at [{row}, {column}]; SVID needs finite weights")
    if split not in get_args(Split):
        raise ValueError(f"there is no split {split!r}; choose one of {', '.join(get_args(Split))}")


def _share(rank_one: RankOne, split: Split) -> "tuple[torch.Tensor, torch.Tensor]":
    """Return h = sigma u / t and g = t v, with t as the split wants it."""
    sigma, u, v = rank_one.singular_value, rank_one.left, rank_one.right
    if sigma == 0:
        return u, v
    mean_u, mean_v = u.mean().item(), v.mean().item()
    t = {
        "balanced": sqrt(sigma),
        "nmf": sqrt(sigma * mean_u / mean_v * pi / 2),
        "output": 1 / mean_v,
        "input": sigma * mean_u,
    }[split]
    return u * (sigma / t), v * t
