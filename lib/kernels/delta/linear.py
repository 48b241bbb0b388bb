"""The delta products of a step, added to the base products: one call for every device.

    y_t = base_t + Σ_g U_g (s_g ⊙ (V_gᵀ x_t))        `specification.delta_linear` in plain torch

Where the table is decides who computes it: on a GPU the Triton kernels, on a CPU the CPU path, and with
TRITON_INTERPRET=1 the kernels in Triton's interpreter. torch.compile and CUDA graphs see one opaque operator
(`operator.py`). What comes out has no gradient: deltas are for serving.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lib.kernels.delta.routing import Routing
from lib.kernels.layout import interpreted

if TYPE_CHECKING:
    import torch

    from lib.kernels.delta.table import DeltaTable


def delta_linear(
    x: "torch.Tensor",
    base_output: "torch.Tensor",
    tenants: "Routing | Sequence[int] | torch.Tensor",
    table: "DeltaTable",
    inplace: bool = False,
) -> "torch.Tensor":
    """Return the base products plus every token's delta product, [..., out] in the dtype of `base_output`.

    Sums are fp32 and rounded once, after the addition.

    Args:
        x: Activations [..., in]; float32, float16 or bfloat16.
        base_output: x times the base weights, [..., out]; the fused projections side by side.
        tenants: A tenant a token (−1: the base alone), or its `Routing`, which serves all layers of a step and is
            what a compiled or captured step must be given.
        table: The tenants' deltas.
        inplace: Write into `base_output`, which saves a copy.

    Raises:
        TypeError: A dtype is none of those named.
        ValueError: Shapes or devices do not fit together.
        KeyError: A tenant is not in the table.
    """
    import torch

    routing = tenants if isinstance(tenants, Routing) else Routing.of(tenants, x.device)
    _check(x, base_output, routing, table)
    base = base_output.detach()
    y = base if inplace else base.clone(memory_format=torch.contiguous_format)
    if torch.compiler.is_compiling() or type(x) not in (torch.Tensor, torch.nn.Parameter):
        from lib.kernels.delta import operator  # noqa: F401, registers it

        add = torch.ops.sixpapers.add_delta
    else:
        add = add_delta  # saves the operator's overhead
    most = max(table.outputs)
    add(x, y, routing.tenants, routing.tokens, table.records, table.orders, table.anchor, table.granules, most)
    return y


def add_delta(
    x: "torch.Tensor",
    y: "torch.Tensor",
    tile_tenants: "torch.Tensor",
    tile_tokens: "torch.Tensor",
    records: "torch.Tensor",
    orders: "torch.Tensor",
    anchor: "torch.Tensor",
    granules: int,
    most_outputs: int,
) -> None:
    """Add the delta products to y in place; arguments as `delta_gpu.add_delta_gpu`, checked before."""
    import torch

    rows, into = x.detach().reshape(-1, x.shape[-1]).contiguous(), y.detach().view(-1, y.shape[-1])
    routed = (tile_tenants, tile_tokens, records)
    if x.device.type == "cpu" and not interpreted():
        from lib.kernels.delta.delta_cpu import add_delta_cpu

        add_delta_cpu(rows, into, *routed)
        return
    from lib.kernels.delta.delta_gpu import add_delta_gpu

    if x.device.type == "cpu":
        add_delta_gpu(rows, into, *routed, orders, anchor, granules, most_outputs)
        return
    with torch.cuda.device(x.device):  # Triton launches on the current device
        add_delta_gpu(rows, into, *routed, orders, anchor, granules, most_outputs)


def _check(x: "torch.Tensor", base_output: "torch.Tensor", routing: Routing, table: "DeltaTable") -> None:
    import torch

    for name, tensor in (("x", x), ("base_output", base_output)):
        if tensor.dtype not in (torch.float32, torch.float16, torch.bfloat16):
            raise TypeError(f"{name} is {tensor.dtype}; delta_linear takes float32, float16 or bfloat16")
    outputs = sum(table.outputs)
    if x.ndim == 0 or x.shape[-1] != table.inputs:
        raise ValueError(f"x has the shape {list(x.shape)}, but the table's deltas have {table.inputs} inputs")
    if tuple(base_output.shape) != (*x.shape[:-1], outputs):
        raise ValueError(f"base_output has the shape {list(base_output.shape)}, expected {[*x.shape[:-1], outputs]}")
    if routing.count != (tokens := x.numel() // max(x.shape[-1], 1)):
        raise ValueError(f"{routing.count} tenants for {tokens} tokens: give one each, −1 for the base alone")
    devices = {"base_output": base_output.device, "the table": table.device, "the routing": routing.tokens.device}
    for name, device in devices.items():
        if (device.type, device.index or 0) != (x.device.type, x.device.index or 0):
            raise ValueError(f"x is on {x.device}, but {name} on {device}: move them to one device")
    if not base_output.is_contiguous():
        raise ValueError("base_output is not contiguous: call .contiguous() first")
    table.check(routing.distinct)
