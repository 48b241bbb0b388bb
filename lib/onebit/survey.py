"""Everything that is measured on one projection matrix: propositions, errors of all approximations, NMF."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lib.models import Projection
from lib.onebit.approximations import APPROXIMATIONS
from lib.onebit.propositions import Propositions, measure
from lib.onebit.random_matrices import KINDS, random_matrix
from lib.onebit.rank_one import nmf
from lib.onebit.svid import relative_error

if TYPE_CHECKING:
    import torch

_TOKENS = 4  # inputs for Proposition 1; an identity needs no more

# Odd on purpose: single rows and columns, wide, tall, and sides that no block size divides.
_SHAPES = ((1, 9), (9, 1), (7, 13), (64, 64), (100, 33), (33, 100), (128, 200), (1, 1), (192, 576), (61, 61))


@dataclass(frozen=True)
class MatrixSurvey:
    """What was measured on one matrix.

    Attributes:
        name: Its name in the checkpoint.
        block: Number of the block.
        type: q, k, v, o, gate, up or down.
        propositions: Proposition 1, Lemma 1 and Proposition 2.
        errors: Relative squared error of each of APPROXIMATIONS, by name.
        nmf_error: The same for sign(W) times a one-component NMF of |W|.
        nmf_steps: Steps that NMF took.
    """

    name: str
    block: int
    type: str
    propositions: Propositions
    errors: dict[str, float]
    nmf_error: float
    nmf_steps: int

    def row(self) -> dict[str, Any]:
        """Return block, type and errors as one row of a table."""
        return {"block": self.block, "type": self.type, **self.errors}

    def __repr__(self) -> str:
        return f"MatrixSurvey({self.name}, SVID {self.errors['svid']:.4f}, rank-1 SVD {self.errors['rank_one']:.4f})"


def survey(projection: Projection, seed: int = 0, device: str = "cpu") -> MatrixSurvey:
    """Return all measurements of one projection matrix, in float32 where they aren't about the last digit.

    Args:
        projection: The matrix with its name.
        seed: Of the inputs for Proposition 1 and of NMF's start.
        device: Where to compute.
    """
    weight = projection.weight.float().to(device)
    inputs = random_matrix("gaussian", (_TOKENS, weight.shape[1]), seed).to(device)
    propositions = measure(weight, inputs, projection.name)
    # These two were measured in float64 already, by routes of their own.
    known = {"svid": propositions.svid_error, "rank_one": propositions.rank_one_error}
    errors = {
        one.name: known[one.name] if one.name in known else relative_error(weight, one.approximate(weight))
        for one in APPROXIMATIONS
    }
    nmf_error, nmf_steps = _nmf_error(weight, seed)
    return MatrixSurvey(projection.name, projection.block, projection.type, propositions, errors, nmf_error, nmf_steps)


def survey_random(count: int, seed: int = 0) -> Iterator[Propositions]:
    """Yield the propositions on `count` random matrices: all kinds in turn, shapes from 1 x 1 to 192 x 576."""
    for place in range(count):
        kind, shape = KINDS[place % len(KINDS)], _SHAPES[place // len(KINDS) % len(_SHAPES)]
        own_seed = seed * 1_000_003 + place  # no two of them share a seed, within a count of a million
        inputs = random_matrix("gaussian", (_TOKENS, shape[1]), own_seed)
        yield measure(random_matrix(kind, shape, own_seed), inputs, f"{kind} {shape[0]} x {shape[1]}")


def mean_by_type(surveys: Iterable[MatrixSurvey], approximation: str) -> dict[str, float]:
    """Return an approximation's mean error for each type of layer, in the order of first appearance."""
    errors: dict[str, list[float]] = {}
    for one in surveys:
        errors.setdefault(one.type, []).append(one.errors[approximation])
    return {kind: sum(values) / len(values) for kind, values in errors.items()}


def _nmf_error(weight: "torch.Tensor", seed: int) -> tuple[float, int]:
    magnitude = weight.abs()
    if not magnitude.any():
        return 0.0, 0
    factors = nmf(magnitude, seed)
    magnitude = magnitude.double()
    product = factors.output_factor.double()[:, None] * factors.input_factor.double()
    return relative_error(magnitude, product), factors.steps
