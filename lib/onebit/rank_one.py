"""The best rank-1 approximation of a non-negative matrix, three ways.

For A >= 0, [m, n], the best u v^T in the Frobenius norm has non-negative factors (Perron-Frobenius), so SVD and
non-negative matrix factorisation (NMF) share one optimum: sigma_1 and its singular vectors. Alternating least squares
reaches it (`alternating`), and that is what one-component NMF does from a random start (`nmf`). LAPACK finds it too
(`largest_singular_value`), and serves as the check.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

# Relative gap between the lower and upper bound on sigma_1 squared at which the steps stop.
_TOLERANCE = 1e-10
_MOST_STEPS = 200


@dataclass(frozen=True)
class RankOne:
    """A ~ singular_value * left right^T.

    Attributes:
        singular_value: sigma_1(A); 0 for a zero matrix.
        left: Unit vector of the output side, [m], float64, not negative.
        right: Unit vector of the input side, [n], float64, not negative.
        steps: Alternating steps; 0 for a zero matrix.
        converged: False where the steps ran out and LAPACK's SVD took over.
    """

    singular_value: float
    left: "torch.Tensor"
    right: "torch.Tensor"
    steps: int
    converged: bool = True

    def __repr__(self) -> str:
        m, n = len(self.left), len(self.right)
        return f"RankOne({m} x {n}, singular_value={self.singular_value:.6g}, steps={self.steps})"


def alternating(magnitude: "torch.Tensor") -> RankOne:
    """Return the best rank-1 approximation of a non-negative matrix [m, n], by alternating steps in float64.

    One step is u = A v, v = A^T u. With M = A^T A and v > 0, sigma_1^2 lies between the Rayleigh quotient v^T M v and
    the Collatz-Wielandt bound max_i (M v)_i / v_i. The steps stop where the two agree, so the result carries its own
    proof. Where sigma_2 is so near that they do not agree within 200 steps, LAPACK's SVD is taken instead.
    """
    import torch

    # Divided by a power of two, which is exact: squares of very large or small entries leave the range of float64.
    exponent = torch.frexp(magnitude.double().max())[1]
    A = torch.ldexp(magnitude.double(), -exponent)
    v = A.mean(dim=0)
    if not v.any():
        zeros = [torch.zeros(size, dtype=torch.float64, device=A.device) for size in A.shape]
        return RankOne(0.0, zeros[0], zeros[1], steps=0)
    v /= v.norm()
    for step in range(1, _MOST_STEPS + 1):
        u = A @ v
        Mv = A.T @ u
        lower = u.square().sum()
        upper = (Mv / v).nan_to_num(nan=0.0).max()  # 0 / 0 in an all-zero column, which stays zero
        v = Mv / Mv.norm()
        if upper <= lower * (1 + _TOLERANCE):
            u = A @ v
            return RankOne(torch.ldexp(u.norm(), exponent).item(), u / u.norm(), v, step)
    U, S, Vh = torch.linalg.svd(A, full_matrices=False)
    return RankOne(torch.ldexp(S[0], exponent).item(), U[:, 0].abs(), Vh[0].abs(), _MOST_STEPS, converged=False)


@dataclass(frozen=True)
class Nmf:
    """A ~ a b^T.

    Attributes:
        output_factor: a, [m].
        input_factor: b, [n].
        steps: Alternating steps.
    """

    output_factor: "torch.Tensor"
    input_factor: "torch.Tensor"
    steps: int

    def __repr__(self) -> str:
        return f"Nmf({len(self.output_factor)} x {len(self.input_factor)}, steps={self.steps})"


def nmf(magnitude: "torch.Tensor", seed: int = 0, tolerance: float = 1e-4) -> Nmf:
    """Return a one-component NMF of a non-negative matrix [m, n], in the matrix's own dtype.

    What the official initialisation asks of scikit-learn: b starts as sqrt(mean(A)) * |N(0, 1)|, then each side is
    solved with the other held fixed, until a step changes b by less than `tolerance` of its length. b keeps about the
    length of its random start, so the start decides how the scale is shared: mean(a) / mean(b) is 2 / pi on average.

    Raises:
        ValueError: The matrix is all zero, which leaves nothing to divide by.
    """
    import torch

    if not magnitude.any():
        raise ValueError("NMF of an all-zero matrix is not defined; `alternating` returns zeros for it")
    start = torch.randn(magnitude.shape[1], generator=torch.Generator().manual_seed(seed)).abs()
    b = magnitude.mean().sqrt() * start.to(magnitude)
    steps, change = 0, float("inf")
    while change > tolerance and steps < _MOST_STEPS:
        a = magnitude @ b / b.square().sum()
        previous, b = b, magnitude.T @ a / a.square().sum()
        change = ((b - previous).norm() / b.norm()).item()
        steps += 1
    return Nmf(a, b, steps)


def largest_singular_value(matrix: "torch.Tensor") -> float:
    """Return sigma_1 of any matrix [m, n], by LAPACK: the root of the largest eigenvalue of the smaller Gram matrix.

    In float64. Squaring halves the digits of small singular values but not of the largest one.
    """
    import torch

    A = matrix.double()
    gram = A @ A.T if A.shape[0] <= A.shape[1] else A.T @ A
    return torch.linalg.eigvalsh(gram)[-1].clamp(min=0).sqrt().item()
