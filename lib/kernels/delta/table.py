"""Which deltas are there: one table for each group of fused projections, with a row of addresses for every tenant.

    table = DeltaTable(inputs=4096, outputs=(4096, 1024, 1024), device="cuda")      # q, k, v of one layer
    table.add(3, [q_delta, k_delta, v_delta])                                       # repacked; the originals can go
    y = delta_linear(x, base_output, tenants, table)
    table.drop(3)

Deltas lie wherever they were allocated, and a table only knows where: adding, dropping and swapping a tenant writes one
row, between two steps, also under a captured CUDA graph as long as the table does not have to grow (`capacity`,
`granules`). A tenant without a delta in this layer is added with None.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lib.kernels.delta import slab as slabs
from lib.kernels.delta.memory import Memory
from lib.kernels.delta.packed import PackedDelta
from lib.kernels.layout import interpreted

if TYPE_CHECKING:
    import torch

GPU_FIELDS, CPU_FIELDS = 13, 3
NO_ORDER = 1  # units of 16 bytes from the anchor: within itself, where no order can lie


class DeltaTable:
    """The deltas of all tenants for one group of fused projections.

    Args:
        inputs: n, which the projections share.
        outputs: m of each.
        device: Where the activations are. With TRITON_INTERPRET=1 a CPU counts as a GPU.
        capacity: Tenants to reserve rows for; more are made as needed.
        granules: Granules of 32 directions a projection to reserve programs for (GPU); grows as needed.
    """

    def __init__(
        self,
        inputs: int,
        outputs: Sequence[int],
        device: "torch.device | str" = "cpu",
        capacity: int = 8,
        granules: int = 0,
    ) -> None:
        import torch

        self.inputs, self.outputs, self.device = inputs, tuple(outputs), torch.device(device)
        self.layout = "gpu" if self.device.type == "cuda" or interpreted() else "cpu"
        self.granules, self.orders_a_tenant = granules, 1
        # Addresses are counted from here: what a kernel knows to be aligned is this and multiples of 16 bytes.
        self.anchor = torch.zeros(256, dtype=torch.uint8, device=self.device)
        fields = GPU_FIELDS if self.layout == "gpu" else CPU_FIELDS
        self.records = torch.zeros(capacity, len(self.outputs), fields, dtype=torch.int64, device=self.device)
        self.orders = torch.zeros(capacity, 1, dtype=torch.int64, device=self.device)
        self._slabs: dict[int, tuple[slabs.Slab, ...]] = {}
        self._kept: dict[int, list[torch.Tensor]] = {}

    def add(
        self, tenant: int, deltas: "PackedDelta | Sequence[PackedDelta | None] | None", memory: Memory | None = None
    ) -> None:
        """Take a tenant's deltas in, one a projection in the table's order; None: zero. Replaces what is there.

        They are kept in parts of `memory`, where that is given: one piece for all tables is less than many.

        Raises:
            TypeError, ValueError: The tenant is no index, or a delta does not fit its projection.
        """
        if not isinstance(tenant, int) or tenant < 0:
            raise ValueError(f"tenant {tenant!r}: a tenant is an index from 0 on")
        listed = [deltas] * len(self.outputs) if deltas is None else deltas
        listed = [listed] if isinstance(listed, PackedDelta) else list(listed)
        if len(listed) != len(self.outputs):
            raise ValueError(f"{len(listed)} deltas for {len(self.outputs)} fused projections; give one each, or None")
        built = tuple(
            slabs.build(self._fitting(delta, number), self.layout, self.device, memory)
            for number, delta in enumerate(listed)
        )
        self._grow(tenant + 1)
        self._slabs[tenant] = built
        if self.layout == "gpu":
            self._write_gpu(tenant, built)
        else:
            from lib.kernels.delta.delta_cpu import jobs  # needs the compiler, which a GPU does not

            numbers, self.records[tenant] = jobs(built, memory or Memory(0))
            self._kept[tenant] = [numbers]

    def drop(self, tenant: int) -> None:
        """Forget a tenant; its memory is free as soon as no step that uses it runs.

        Raises:
            KeyError: There is none of that index.
        """
        import torch

        self._known(tenant)
        if self.device.type == "cuda":  # a step under way may still read what is about to be freed
            torch.cuda.synchronize(self.device)
        self.records[tenant].zero_()
        del self._slabs[tenant]
        self._kept.pop(tenant, None)

    def restore(self, tenant: int) -> tuple[PackedDelta, ...]:
        """Return a tenant's deltas in the canonical form, as they were added.

        Raises:
            KeyError: There is none of that index.
        """
        self._known(tenant)
        return tuple(slabs.restore(slab) for slab in self._slabs[tenant])

    @property
    def tenants(self) -> tuple[int, ...]:
        """The tenants that are there, sorted."""
        return tuple(sorted(self._slabs))

    def nbytes(self, tenant: int | None = None) -> int:
        """Return the bytes of one tenant's deltas in this layout, padding counted; of all by default."""
        chosen = self._slabs.values() if tenant is None else [self._slabs[tenant]]
        return sum(slab.nbytes for built in chosen for slab in built)

    def check(self, tenants: Sequence[int]) -> None:
        """Raise KeyError if one of `tenants` is not there."""
        for tenant in tenants:
            self._known(tenant)

    def __repr__(self) -> str:
        outputs = "+".join(map(str, self.outputs))
        return f"DeltaTable({self.inputs} -> {outputs}, {len(self._slabs)} tenants, {self.nbytes()} bytes)"

    def _known(self, tenant: int) -> None:
        if tenant not in self._slabs:
            raise KeyError(f"tenant {tenant} is not in the table, which has {list(self.tenants)}: add it first")

    def _fitting(self, delta: PackedDelta | None, number: int) -> PackedDelta:
        delta = PackedDelta(self.outputs[number], self.inputs) if delta is None else delta
        if (delta.outputs, delta.inputs) != (self.outputs[number], self.inputs):
            raise ValueError(
                f"delta {number} is {delta.outputs} × {delta.inputs}, but the table's projection {number} is "
                f"{self.outputs[number]} × {self.inputs}"
            )
        return delta

    def _grow(self, tenants: int, orders: int = 1) -> None:
        """Make room for so many tenants, and for so many orders of the inputs each."""
        import torch

        rows, columns = max(0, tenants - len(self.records)), max(0, orders - self.orders.shape[1])
        if rows:
            rows = max(rows, len(self.records))  # doubles, so that many additions move little
            self.records = torch.cat([self.records, self.records.new_zeros(rows, *self.records.shape[1:])])
        if rows or columns:
            self.orders = torch.nn.functional.pad(self.orders, (0, columns, 0, rows), value=NO_ORDER).contiguous()

    def _write_gpu(self, tenant: int, built: tuple[slabs.Slab, ...]) -> None:
        import torch

        orders, rows, kept, offset = [], [], [], 0
        for slab in built:
            numbers = [_place(order, orders) for order in slab.orders]
            row, info = [0] * GPU_FIELDS, _granule_info(slab, numbers)
            if info:
                tables = [torch.tensor(each, dtype=torch.int32, device=self.device) for each in (info, _starts(slab))]
                kept += tables
                addressed = [slab.parts[0][name] for name in slabs.TENSORS] + tables
                row[:11] = [*map(self._units, addressed), len(info), len(_starts(slab)) - 1]
            row[11:] = [slab.outputs, offset]
            rows.append(row)
            offset += slab.outputs
            self.granules = max(self.granules, len(info))
        self._grow(tenant + 1, len(orders))
        self._kept[tenant] = kept
        self.records[tenant] = torch.tensor(rows, dtype=torch.int64)
        places = [0 if order is None else self._units(order) for order in orders]
        self.orders[tenant] = torch.tensor(
            places + [NO_ORDER] * (self.orders.shape[1] - len(places)), dtype=torch.int64
        )

    def _units(self, tensor: "torch.Tensor") -> int:
        """A tensor's address, from the anchor on, in 16 bytes."""
        distance = tensor.data_ptr() - self.anchor.data_ptr()
        assert distance % 16 == 0, "torch aligns what it allocates to 64 bytes"
        return distance // 16


def _place(order: "torch.Tensor | None", orders: "list[torch.Tensor | None]") -> int:
    """The place of an order among a tenant's, added if it is new; fused projections mostly share one."""
    import torch

    for number, known in enumerate(orders):
        if known is order or (known is not None and order is not None and torch.equal(known, order)):
            return number
    orders.append(order)
    return len(orders) - 1


def _granule_info(slab: slabs.Slab, numbers: list[int]) -> list[int]:
    """For each granule: the digits of its codes, and 256 times the number of its order of inputs."""
    info = []
    for number, shape in enumerate(slab.groups):
        digits = slabs.digits.digits_a_code(shape.bits, "gpu")
        info += [digits | numbers[shape.v_order] << 8] * slab.granules(number)
    return info


def _starts(slab: slabs.Slab) -> list[int]:
    """The first granule of each chunk of U, and where the last ends: a chunk is up to 4 granules of one group."""
    starts, at = [], 0
    for number in range(len(slab.groups)):
        starts += range(at, at + slab.granules(number), 4)
        at += slab.granules(number)
    return [*starts, at]
