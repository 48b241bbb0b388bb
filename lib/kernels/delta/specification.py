"""What the kernels compute, in plain torch: every token's delta product, added to the product with the base weight.

    y_t = base_t + Σ_g U_g (s_g ⊙ (V_gᵀ x_t))     of the tenant of token t; base_t alone where there is none (−1)

in the order in which Delta-CoMe states it (arXiv 2406.08903, section 3.3): V first, then the singular values, then U.
A fused projection (q, k, v or gate, up) has several deltas a tenant: their outputs stand side by side. With float64
values it is the reference that errors are measured against.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

    from lib.kernels.delta.packed import PackedDelta


def delta_linear(
    x: "torch.Tensor",
    base_output: "torch.Tensor",
    tenants: Sequence[int],
    deltas: "Mapping[int, Sequence[PackedDelta]]",
    dtype: "torch.dtype | None" = None,
) -> "torch.Tensor":
    """Return y [tokens, out] in the dtype of `base_output`.

    Args:
        x: Activations [tokens, in].
        base_output: [tokens, out].
        tenants: A tenant for each token; −1: the base alone.
        deltas: By tenant, the deltas of the fused weights in their order.
        dtype: What is computed in; that of x by default.
    """
    import torch

    dtype = dtype or x.dtype
    y = base_output.to(dtype).clone()
    for tenant in set(tenants) - {-1}:
        rows = torch.tensor([i for i, each in enumerate(tenants) if each == tenant], device=x.device)
        parts = [_product(x[rows].to(dtype), delta, dtype) for delta in deltas[tenant]]
        y[rows] += torch.cat(parts, dim=1)
    return y.to(base_output.dtype if dtype == x.dtype else dtype)


def _product(x: "torch.Tensor", delta: "PackedDelta", dtype: "torch.dtype") -> "torch.Tensor":
    from lib.kernels.delta.packed import values

    y = x.new_zeros(len(x), delta.outputs)
    for group in delta.groups:
        u, v = (values(factor).to(x.device, dtype) for factor in (group.u, group.v))
        y += (x @ v.T * group.singular_values.to(x.device, dtype)) @ u.T
    return y
