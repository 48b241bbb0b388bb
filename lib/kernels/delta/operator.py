"""`torch.ops.sixpapers.add_delta`: the delta products as one opaque operator that changes y, for torch.compile.

Importing this imports torch and registers the operator; `linear.delta_linear` does so when it is compiled.
"""

import torch

from lib.kernels.delta.linear import add_delta

LIBRARY = torch.library.Library("sixpapers", "FRAGMENT")  # the registration lives as long as this
LIBRARY.define(
    "add_delta(Tensor x, Tensor(a!) y, Tensor tile_tenants, Tensor tile_tokens, Tensor records, Tensor orders, "
    "Tensor anchor, int granules, int most_outputs) -> ()"
)
for _device in ("CPU", "CUDA"):
    LIBRARY.impl("add_delta", add_delta, _device)


@torch.library.register_fake("sixpapers::add_delta", lib=LIBRARY)
def _nothing_is_returned(
    x: torch.Tensor,
    y: torch.Tensor,
    tile_tenants: torch.Tensor,
    tile_tokens: torch.Tensor,
    records: torch.Tensor,
    orders: torch.Tensor,
    anchor: torch.Tensor,
    granules: int,
    most_outputs: int,
) -> None:
    return None
