"""The sign function with a gradient.

Forward S = sign(A), with sign(0) = +1. Its derivative is 0 almost everywhere, so the backward pass puts the derivative
of tanh in its place (App. A.5): dL/dA = dL/dS * (1 - tanh^2(A)). The released code adds 0.001, so that a latent weight
far from zero can still come back: (1.001 - tanh^2(A)).
"""

from typing import Any, Literal, get_args

import torch

from lib.onebit.svid import sign

Estimator = Literal["tanh", "identity"]

_FLOOR = 0.001  # bitnet.py of the release


class _TanhSign(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, latent: torch.Tensor) -> torch.Tensor:  # noqa: ANN401 - autograd's own context
        context.save_for_backward(latent)
        return sign(latent)

    @staticmethod
    def backward(context: Any, gradient: torch.Tensor) -> torch.Tensor:  # noqa: ANN401
        (latent,) = context.saved_tensors
        return gradient * (1 + _FLOOR - latent.tanh().square())


class _PassedSign(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, latent: torch.Tensor) -> torch.Tensor:  # noqa: ANN401
        return sign(latent)

    @staticmethod
    def backward(context: Any, gradient: torch.Tensor) -> torch.Tensor:  # noqa: ANN401
        return gradient


def straight_through_sign(latent: torch.Tensor, estimator: Estimator = "tanh") -> torch.Tensor:
    """Return S = sign(A), -1 or +1 in A's dtype and shape, with a gradient for A.

    Args:
        latent: A, any shape.
        estimator: "tanh", the paper's: dL/dA = dL/dS * (1.001 - tanh^2(A)). "identity": dL/dA = dL/dS.

    Raises:
        ValueError: The estimator is unknown.
    """
    if estimator not in get_args(Estimator):
        raise ValueError(f"there is no estimator {estimator!r}; choose one of {', '.join(get_args(Estimator))}")
    return (_TanhSign if estimator == "tanh" else _PassedSign).apply(latent)
