"""Products with many tenants' low-rank deltas of 1 to 8 bits, added to the product with the base weight they share.

    table = DeltaTable(inputs, outputs, device)                 # one for each group of fused projections
    table.add(tenant, [PackedDelta(m, n, groups), ...])         # repacked into the device's own order
    y = delta_linear(x, base_output, tenants, table)            # a tenant a token, −1: the base alone

Importing this imports neither torch nor a compiler.
"""

from lib.kernels.delta.linear import delta_linear
from lib.kernels.delta.memory import Memory
from lib.kernels.delta.packed import PackedDelta, PackedGroup, PackedMatrix
from lib.kernels.delta.routing import Routing
from lib.kernels.delta.table import DeltaTable

__all__ = ["DeltaTable", "Memory", "PackedDelta", "PackedGroup", "PackedMatrix", "Routing", "delta_linear"]
