"""Where a student's layer starts from: its latent weights A and its value vectors g and h, made from a dense weight W.

What the paper compares is a choice of three things:

- the signs: those of W, or random ones;
- the value vectors: SVID's (section 3.3), all ones, or one scalar scale mean(|W|);
- the size of the latent weights: the release throws W's magnitudes away and sets A = 0.01 sign(W), a plain copy keeps
  A = W. The smaller, the sooner a sign flips; so the two must not be mixed up with "SVID or not".
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from lib.onebit.rank_one import nmf
from lib.onebit.svid import Split, sign, svid

if TYPE_CHECKING:
    import torch

Values = Literal["nmf", "svid", "svd", "scalar", "ones"]
Signs = Literal["weight", "random"]
Latent = Literal["constant", "weight"]


@dataclass(frozen=True)
class Start:
    """How A, g and h are first set.

    Attributes:
        values: "nmf": h g^T ~ |W| by one-component NMF from a random start, as the release. "svid": the same optimum by
            alternating steps. "svd": the same from LAPACK's singular vectors. "scalar": h = mean(|W|), g = 1, the best
            single scale. "ones": g = h = 1, nothing known of the magnitudes.
        split: How sigma_1 is shared between g and h, for "svid" and "svd"; NMF leaves it as its random start had it.
        signs: "weight": sign(W). "random": fair coins.
        latent: "constant": |A| = latent_size everywhere. "weight": |A| = |W|.
        latent_size: Size of a constant latent weight; 0.01 in the release.
        seed: Of NMF's start and of random signs.
    """

    values: Values = "nmf"
    split: Split = "balanced"
    signs: Signs = "weight"
    latent: Latent = "constant"
    latent_size: float = 0.01
    seed: int = 0

    def __post_init__(self) -> None:
        for field, kinds in (("values", Values), ("signs", Signs), ("latent", Latent), ("split", Split)):
            if getattr(self, field) not in get_args(kinds):
                raise ValueError(
                    f"there is no {field}={getattr(self, field)!r} start; choose one of {', '.join(get_args(kinds))}"
                )
        if not self.latent_size > 0:
            raise ValueError(f"latent_size is {self.latent_size}; a latent weight of 0 has no sign to flip from")


OFFICIAL = Start()
COPY = Start(values="ones", latent="weight")  # Fig. 5's "copy from the original weights": nothing is decomposed
COPY_SCALED = Start(values="scalar", latent="weight")  # the same without a LayerNorm to hide the missing scale
RANDOM_SIGNS = Start(values="nmf", signs="random")
SVID_KEEPING_WEIGHTS = Start(values="svid", latent="weight")

STARTS: dict[str, Start] = {
    "svid": OFFICIAL,
    "svid_keeping_weights": SVID_KEEPING_WEIGHTS,
    "copy": COPY,
    "copy_scaled": COPY_SCALED,
    "random": RANDOM_SIGNS,
}


def start_named(name: str) -> Start:
    """Return one of `STARTS` by its name.

    Raises:
        ValueError: There is none of that name.
    """
    if name not in STARTS:
        raise ValueError(f"there is no start {name!r}; choose one of {', '.join(STARTS)}")
    return STARTS[name]


@dataclass(frozen=True)
class LayerStart:
    """A layer's first parameters.

    Attributes:
        latent: A, [m, n].
        input_scale: g, [n].
        output_scale: h, [m].
    """

    latent: "torch.Tensor"
    input_scale: "torch.Tensor"
    output_scale: "torch.Tensor"


def start_layer(weight: "torch.Tensor", start: Start, name: str = "weight") -> LayerStart:
    """Return the first A, g and h of a layer, float32.

    Args:
        weight: W, [m, n].
        start: How.
        name: What error messages call the matrix; random signs differ from name to name.

    Raises:
        ValueError: W is no matrix of finite numbers, or all zero.
    """
    weight = _checked(weight, name)
    output_scale, input_scale = _values(weight, start, name)
    signs = sign(weight) if start.signs == "weight" else _coins(weight, start.seed, name)
    size = weight.abs() if start.latent == "weight" else start.latent_size
    return LayerStart(signs * size, input_scale, output_scale)


def check_rows(weight: "torch.Tensor", name: str) -> None:
    """Raise a ValueError that names a matrix and its first all-zero row: its output would not stay 0 under a LayerNorm.

    Without one, h is 0 there and the output is, as it should be.
    """
    zero = (weight.detach() == 0).all(dim=1)
    if zero.any():
        raise ValueError(
            f"{name} has an all-zero row, {zero.nonzero()[0].item()} (of {int(zero.sum())}), which no LayerNorm keeps "
            "at zero: train with post_norm=False, or prune that output from the teacher"
        )


def _checked(weight: "torch.Tensor", name: str) -> "torch.Tensor":
    weight = weight.detach().float()
    if weight.ndim != 2:
        raise ValueError(f"{name} has shape {tuple(weight.shape)}; expected a matrix [outputs, inputs]")
    broken = int((~weight.isfinite()).sum())
    if broken:
        raise ValueError(f"{name} holds {broken} weights that are NaN or infinite; is the checkpoint whole?")
    if not weight.any():
        raise ValueError(f"{name} is all zero: it has no magnitudes to start from; leave that layer unquantised")
    return weight


def _values(weight: "torch.Tensor", start: Start, name: str) -> "tuple[torch.Tensor, torch.Tensor]":
    """Return h [m] and g [n]."""
    if start.values == "nmf":
        factors = nmf(weight.abs(), start.seed)
        return factors.output_factor, factors.input_factor
    if start.values == "svid":
        parts = svid(weight, start.split, name)
        return parts.output_scale, parts.input_scale
    if start.values == "svd":
        return _by_svd(weight, start.split)
    output_scale, input_scale = weight.new_ones(len(weight)), weight.new_ones(weight.shape[1])
    return (output_scale * weight.abs().mean() if start.values == "scalar" else output_scale), input_scale


def _by_svd(weight: "torch.Tensor", split: Split) -> "tuple[torch.Tensor, torch.Tensor]":
    """Return h and g from LAPACK's singular vectors, the scale shared as `svid` shares it."""
    import torch

    U, S, Vh = torch.linalg.svd(weight.double().abs(), full_matrices=False)
    h, g = S[0] * U[:, 0].abs(), Vh[0].abs()
    factor = svid(weight, split).input_scale.double().mean() / g.mean()
    return (h / factor).float(), (g * factor).float()


def _coins(weight: "torch.Tensor", seed: int, name: str) -> "torch.Tensor":
    import hashlib

    import torch

    digest = hashlib.sha256(f"{seed} {name}".encode()).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest[:7], "little"))
    return (torch.randint(0, 2, weight.shape, generator=generator) * 2 - 1).to(weight)
