"""An SVD that is optimal for a layer's outputs, not for its weights.

With C the second moments of the inputs and C = L L^T, the error of an approximation A at the outputs is
||(dW - A) L||_F^2. Truncating the SVD of dW L = U S Q^T, and so dW = U S (Q^T L^-1), is therefore the best choice of R
directions, where truncating the SVD of dW is the best one only for inputs without correlation.
"""

import torch

from lib.delta_come.errors import DeltaError
from lib.delta_come.spectrum import Decomposition, decompose

# Rows of Q^T L^-1 grow where inputs have little energy, and large values make coarse grids. Of 0.001 to 1, this share
# of the mean of C's diagonal, added to it, lost least after quantisation.
_DAMPING = 0.1


def activation_energy(V: torch.Tensor, hessian: torch.Tensor) -> torch.Tensor:
    """Return v_i^T H v_i of every row of V^T: twice the mean square of what the direction sees; float64 [R]."""
    return ((V @ hessian) * V).double().sum(1).clamp_min(0)


def decompose_whitened(
    delta: torch.Tensor, hessian: torch.Tensor | None, ranks: int | None = None, damping: float = _DAMPING
) -> Decomposition:
    """Return directions in the order of what they do to the outputs; rows of V^T have norm 1 but are not orthogonal.

    Args:
        delta: dW, [m, n].
        hessian: H of the inputs, [n, n], up to a factor.
        ranks: At most so many; None: all.
        damping: Share of the mean of H's diagonal that is added to it.

    Raises:
        DeltaError: There is no Hessian.
    """
    if hessian is None:
        raise DeltaError("whitening needs calibration text: give token blocks, or leave `whiten` off")
    C = hessian.double().clone()
    C.diagonal().add_(damping * C.diagonal().mean())
    L = torch.linalg.cholesky(C)
    found = decompose((delta.double() @ L).float(), ranks)
    V = torch.linalg.solve_triangular(L, found.V.double(), upper=False, left=False).float()
    lengths = V.norm(dim=1)
    return Decomposition(found.U, found.singular_values * lengths, V / lengths[:, None])
