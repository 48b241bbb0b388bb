"""Singular directions of a delta, and how its energy is spread over them (sections 3.2 and 5.1, Fig. 1).

dW = U diag(s) V^T. Half precision has no SVD anywhere; all is done in fp32 at least. U and V are unique up to signs,
and up to rotations where singular values are equal: compare products, never factors.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch

from lib.progress import progress

if TYPE_CHECKING:
    from lib.delta_come.delta import Pair

Method = Literal["auto", "thin", "eigh", "randomised"]

# Directions below this share of the largest singular value are rounding noise of an fp32 difference.
_NOISE = 1e-6
# A randomised SVD pays where only a part of a large spectrum is wanted.
_LARGE, _PART = 2048, 4
_OVERSAMPLING, _POWER_STEPS = 32, 3


@dataclass(frozen=True)
class Decomposition:
    """A delta's leading singular directions, or others that stand in their place.

    Attributes:
        U: [m, R], columns of norm 1.
        singular_values: [R], float32, not negative.
        V: [R, n], that is V^T.
    """

    U: torch.Tensor
    singular_values: torch.Tensor
    V: torch.Tensor

    @property
    def ranks(self) -> int:
        """R."""
        return self.singular_values.numel()

    def reconstruct(self, ranks: int | None = None) -> torch.Tensor:
        """Return U diag(s) V^T from the first so many directions, [m, n]."""
        return (self.U[:, :ranks] * self.singular_values[:ranks]) @ self.V[:ranks]

    def take(self, index: torch.Tensor) -> "Decomposition":
        """Return some of the directions, in the order given."""
        return Decomposition(self.U[:, index], self.singular_values[index], self.V[index])


@dataclass(frozen=True)
class Spectrum:
    """The singular values of one delta.

    Attributes:
        name: The weight's name.
        shape: (m, n).
        singular_values: Decreasing, float64 [min(m, n)].
    """

    name: str
    shape: tuple[int, int]
    singular_values: torch.Tensor

    @property
    def block(self) -> int:
        """Number of the block, from 0."""
        return int(re.search(r"layers\.(\d+)\.", self.name)[1])

    @property
    def type(self) -> str:
        """One of q, k, v, o, gate, up, down."""
        return re.search(r"(\w+)_proj", self.name)[1]

    @property
    def energy(self) -> torch.Tensor:
        """Share of the sum of squares that the first 1, 2, ... directions hold; zeros for a zero delta."""
        total = self.singular_values.square().cumsum(0)
        return total / total[-1].clamp_min(torch.finfo(total.dtype).tiny)

    def energy_of(self, ranks: int) -> float:
        """Return the share of the energy in the first directions."""
        return self.energy[min(ranks, self.energy.numel()) - 1].item() if ranks > 0 else 0.0

    def ranks_for(self, share: float) -> int:
        """Return how many directions hold a share of the energy, such as 0.95."""
        return int((self.energy < share - 1e-12).sum()) + 1 if self.singular_values[0] > 0 else 0

    def __repr__(self) -> str:
        m, n = self.shape
        return f"Spectrum({self.name}, {m} x {n}, 95 % of the energy in {self.ranks_for(0.95)} ranks)"


def decompose(delta: torch.Tensor, ranks: int | None = None, method: Method = "auto", seed: int = 0) -> Decomposition:
    """Return the leading singular directions of a matrix, without those that are rounding noise.

    Args:
        delta: dW, [m, n], computed in fp32.
        ranks: At most so many; None: all.
        method: "thin": LAPACK's SVD. "eigh": eigenvectors of the smaller Gram matrix in float64, faster for matrices
            that are not square. "randomised": subspace iteration (Halko et al., 2011), for few ranks of a large
            matrix. "auto": one of them by shape.
        seed: Of the randomised start.
    """
    delta = delta.float()
    if not delta.any():
        return Decomposition(delta.new_zeros(len(delta), 0), delta.new_zeros(0), delta.new_zeros(0, delta.shape[1]))
    wanted = min(delta.shape) if ranks is None else min(ranks, *delta.shape)
    chosen = _choose(delta.shape, wanted) if method == "auto" else method
    if chosen == "randomised":
        found = _randomised(delta, wanted, seed)
    else:
        found = _eigh(delta) if chosen == "eigh" else Decomposition(*torch.linalg.svd(delta, full_matrices=False))
    s = found.singular_values
    kept = int((s[:wanted] > _NOISE * s[0]).sum()) if s.numel() else 0
    return Decomposition(found.U[:, :kept].contiguous(), s[:kept].clone(), found.V[:kept].contiguous())


def spectra(pair: "Pair") -> Iterator[Spectrum]:
    """Yield the spectrum of every delta of a pair, with a progress bar; one matrix is in memory at a time."""
    for name in progress(pair.projections, "singular values"):
        yield spectrum(pair.delta(name), name)


def spectrum(delta: torch.Tensor, name: str = "model.layers.0.delta_proj.weight") -> Spectrum:
    """Return the singular values of one delta, exact to about 1e-8 of the largest."""
    gram = _gram(delta.float())
    return Spectrum(name, tuple(delta.shape), torch.linalg.eigvalsh(gram).clamp_min(0).sqrt().flip(0))


def shuffled(delta: torch.Tensor, seed: int = 0) -> torch.Tensor:
    """Return the matrix with random signs: every magnitude in its place, no direction left but that of the sizes.

    What a spectrum holds beyond this control's (nearly the Marchenko-Pastur law) is structure of the fine-tune, not
    the tail that any matrix with these entries has.
    """
    generator = torch.Generator().manual_seed(seed)
    signs = torch.randint(0, 2, delta.shape, generator=generator, dtype=torch.int8).mul_(2).sub_(1)
    return delta.abs() * signs.to(delta.device)


def _choose(shape: tuple[int, int], wanted: int) -> Method:
    small, large = min(shape), max(shape)
    if small >= _LARGE and _PART * wanted <= small:
        return "randomised"
    return "eigh" if large >= 2 * small else "thin"


def _gram(delta: torch.Tensor) -> torch.Tensor:
    narrow = delta if delta.shape[0] <= delta.shape[1] else delta.T
    return narrow.double() @ narrow.double().T


def _eigh(delta: torch.Tensor) -> Decomposition:
    """Directions of the smaller side from the Gram matrix, those of the other side by one product."""
    wide = delta.shape[0] <= delta.shape[1]
    values, vectors = torch.linalg.eigh(_gram(delta))
    s, inner = values.flip(0).clamp_min(0).sqrt(), vectors.flip(1)
    outer = (delta.T if wide else delta).double() @ inner / s.clamp_min(1e-300)
    left, right = (inner, outer) if wide else (outer, inner)
    return Decomposition(left.float(), s.float(), right.T.float())


def _randomised(delta: torch.Tensor, ranks: int, seed: int) -> Decomposition:
    generator = torch.Generator().manual_seed(seed)
    width = min(ranks + _OVERSAMPLING, *delta.shape)
    start = torch.randn(delta.shape[1], width, generator=generator).to(delta.device)
    basis = torch.linalg.qr(delta @ start).Q
    for _ in range(_POWER_STEPS):
        basis = torch.linalg.qr(delta.T @ basis).Q
        basis = torch.linalg.qr(delta @ basis).Q
    inner = _eigh(basis.T @ delta)
    return Decomposition(basis @ inner.U, inner.singular_values, inner.V)
