"""How long the tail of a delta's spectrum is, and how long it would be by chance.

A spectrum has a long tail, in the sense of the paper's Fig. 1, if its head is heavy and its tail is not nothing: the
first 3 % of the directions hold more than 15 % of the energy, and 95 % of it need more than a quarter of them. A matrix
of noise can pass the second test, so each matrix stands beside itself with random signs.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING

import torch

from lib.delta_come.spectrum import Spectrum, shuffled, spectrum
from lib.progress import progress

if TYPE_CHECKING:
    from lib.delta_come.delta import Pair

HEAD = 0.03  # of all directions
ENERGY = 0.95

# Rank and singular value of one 4096-wide delta, read off the picture of Fig. 1 to about 0.002.
PAPERS_SPECTRUM = (
    *((0, 0.385), (12, 0.208), (30, 0.159), (50, 0.136), (100, 0.108), (200, 0.086), (300, 0.070), (500, 0.057)),
    *((700, 0.048), (1000, 0.039), (1500, 0.029), (2000, 0.023), (2500, 0.0175), (3000, 0.013), (3500, 0.009)),
    (4000, 0.006),
)
PAPERS_WIDTH = 4096


@dataclass(frozen=True)
class LongTail:
    """One delta's spectrum beside that of the same matrix with random signs.

    Attributes:
        spectrum: Of the delta.
        control: Of the delta with random signs.
    """

    spectrum: Spectrum
    control: Spectrum

    @property
    def head(self) -> float:
        """Share of the energy in the first 3 % of the directions, at least one."""
        return head_share(self.spectrum)

    @property
    def control_head(self) -> float:
        """The same of the control."""
        return head_share(self.control)

    @property
    def tail(self) -> float:
        """Share of the directions that 95 % of the energy need."""
        return tail_share(self.spectrum)

    @property
    def control_tail(self) -> float:
        """The same of the control."""
        return tail_share(self.control)

    @property
    def structured(self) -> int:
        """Number of directions stronger than the strongest of the control."""
        return int((self.spectrum.singular_values > self.control.singular_values[0]).sum())

    def __repr__(self) -> str:
        return (
            f"LongTail({self.spectrum.name}, head {self.head:.3f} against {self.control_head:.3f} by chance, "
            f"tail {self.tail:.3f} against {self.control_tail:.3f})"
        )


def long_tails(pair: "Pair", seed: int = 0) -> Iterator[LongTail]:
    """Yield each delta's spectrum with its control, with a progress bar; deltas of zero are left out.

    Args:
        pair: Base and fine-tune.
        seed: Of the signs; every matrix draws its own.
    """
    for number, name in enumerate(progress(pair.projections, "singular values")):
        delta = pair.delta(name)
        if delta.any():
            control = shuffled(delta, seed + 1000 * number)
            yield LongTail(spectrum(delta, name), spectrum(control, name))


def head_share(spectrum: Spectrum, share: float = HEAD) -> float:
    """Return the share of the energy in the first so many of the directions, rounded up to whole ones."""
    return spectrum.energy_of(ceil(share * spectrum.singular_values.numel()))


def tail_share(spectrum: Spectrum, energy: float = ENERGY) -> float:
    """Return the share of all directions that a share of the energy needs."""
    return spectrum.ranks_for(energy) / spectrum.singular_values.numel()


def mean_by_type(tails: Sequence[LongTail], what: str) -> dict[str, float]:
    """Return the mean over blocks of a property of `LongTail`, by type of projection in the order of use."""
    found: dict[str, list[float]] = {}
    for each in tails:
        found.setdefault(each.spectrum.type, []).append(getattr(each, what))
    return {kind: sum(values) / len(values) for kind, values in found.items()}


def expected_head(m: int, n: int, share: float = HEAD, points: int = 20_000) -> float:
    """Return the share of the energy that the first 3 % of the directions of pure noise hold, by Marchenko and Pastur.

    The squared singular values of a large m x n matrix of independent entries, over their mean, have the density
    sqrt((b - x)(x - a)) / (2 pi c x) between a, b = (1 -+ sqrt(c))^2, with c the smaller side over the larger.

    Args:
        m: Outputs.
        n: Inputs.
        share: Of the directions.
        points: Of the numerical integral.
    """
    c = min(m, n) / max(m, n)
    a, b = (1 - c**0.5) ** 2, (1 + c**0.5) ** 2
    # x = centre + radius cos(t) turns the square roots at both ends into sin^2 and leaves nothing to diverge but x = 0.
    t = (torch.arange(points, dtype=torch.float64) + 0.5) * torch.pi / points
    x = (a + b) / 2 + (b - a) / 2 * torch.cos(t)  # decreasing
    weight = torch.sin(t) ** 2 / x
    count, energy = weight.cumsum(0) / weight.sum(), (weight * x).cumsum(0) / (weight * x).sum()
    return energy[min(int((count < share).sum()), points - 1)].item()
