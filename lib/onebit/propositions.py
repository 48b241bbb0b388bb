"""The paper's Proposition 1, Lemma 1 and Proposition 2, measured on one matrix (section 3.3, App. A.1).

Proposition 1 is an identity, Lemma 1 and Proposition 2 are inequalities, all proved in the paper; a violation here
would mean an error in the code, or a gap in a proof. Everything is computed in float64, and the two sides of an
inequality by different routes: sigma_1(|W|) by alternating steps, sigma_1(W) by LAPACK.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lib.onebit.rank_one import largest_singular_value
from lib.onebit.svid import onebit_linear, relative_error, svid

if TYPE_CHECKING:
    import torch

# A matrix without negative entries meets both inequalities with equality, so rounding may tip them: float64 sums of
# some million terms agree to about 1e-12; a real violation would not hide below 1e-9.
TOLERANCE = 1e-9


@dataclass(frozen=True)
class Propositions:
    """What was measured on one matrix W.

    Attributes:
        name: The matrix.
        sigma_magnitude: sigma_1(|W|).
        sigma_weight: sigma_1(W).
        svid_error: ||W - sign(W) * h g^T||^2 / ||W||^2, from the difference itself.
        rank_one_error: The same for the best rank-1 approximation of W: 1 - sigma_1(W)^2 / ||W||^2.
        layer_deviation: Largest ||Y - X W'^T|| / ||X W'^T|| over the inputs, where W' = sign(W) * h g^T is built and Y
            comes from the layer form, which never builds it.
        steps: Alternating steps of the SVID.
    """

    name: str
    sigma_magnitude: float
    sigma_weight: float
    svid_error: float
    rank_one_error: float
    layer_deviation: float
    steps: int

    @property
    def lemma_1_holds(self) -> bool:
        """Lemma 1: sigma_1(|W|) >= sigma_1(W)."""
        return self.sigma_magnitude >= self.sigma_weight * (1 - TOLERANCE)

    @property
    def proposition_2_holds(self) -> bool:
        """Proposition 2: SVID's error is at most that of the best rank-1 approximation of W itself."""
        return self.svid_error <= self.rank_one_error + TOLERANCE


def measure(weight: "torch.Tensor", inputs: "torch.Tensor", name: str = "weight") -> Propositions:
    """Return what the propositions say about a weight [m, n], with inputs [tokens, n] for Proposition 1."""
    weight, inputs = weight.double(), inputs.double()
    parts = svid(weight, name=name)
    approximation = parts.reconstruct()
    sigma_weight = largest_singular_value(weight)
    energy = weight.square().sum().item()
    expected = inputs @ approximation.T
    layer = onebit_linear(inputs, parts.sign_weight, parts.input_scale, parts.output_scale)
    size = expected.norm(dim=-1)
    deviation = ((layer - expected).norm(dim=-1) / size.clamp(min=1e-300)).max().item()
    return Propositions(
        name=name,
        sigma_magnitude=parts.singular_value,
        sigma_weight=sigma_weight,
        svid_error=relative_error(weight, approximation),
        rank_one_error=1 - sigma_weight**2 / energy if energy else 0.0,
        layer_deviation=deviation,
        steps=parts.steps,
    )
