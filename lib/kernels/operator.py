"""`torch.ops.sixpapers.sign_linear`: the layer as one opaque operator, for torch.compile, export and CUDA graphs.

Importing this imports torch and registers the operator; `linear.sign_linear` does so when it is compiled. It computes
no gradients: there `linear.sign_linear` goes by the specification, before it comes here.
"""

import torch

from lib.kernels.linear import compute

LIBRARY = torch.library.Library("sixpapers", "FRAGMENT")  # the registration lives as long as this
LIBRARY.define(
    "sign_linear(Tensor x, Tensor words, Tensor input_scale, Tensor output_scale, Tensor? bias=None, "
    "bool layer_norm=False, float eps=1e-5) -> Tensor"
)
for _device in ("CPU", "CUDA"):
    LIBRARY.impl("sign_linear", compute, _device)


@torch.library.register_fake("sixpapers::sign_linear", lib=LIBRARY)
def _shape(
    x: torch.Tensor,
    words: torch.Tensor,
    input_scale: torch.Tensor,
    output_scale: torch.Tensor,
    bias: torch.Tensor | None = None,
    layer_norm: bool = False,
    eps: float = 1e-5,
) -> torch.Tensor:
    return x.new_empty(*x.shape[:-1], output_scale.shape[0])
