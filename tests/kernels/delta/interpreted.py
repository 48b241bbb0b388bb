"""Run the delta kernels in Triton's interpreter and print the errors as JSON.

A process of its own, because TRITON_INTERPRET is read when triton is imported:

    TRITON_INTERPRET=1 python -m tests.kernels.delta.interpreted
"""

import json

import torch

from lib.kernels.delta import DeltaTable, Routing, delta_linear, specification
from tests.kernels.delta.cases import PLANS, STEPS, delta, fill, relative_error, same

DTYPES = {"fp16": torch.float16, "bf16": torch.bfloat16, "fp32": torch.float32}


def steps() -> dict[str, dict]:
    found = {}
    for name, (inputs, outputs, tenants, dtypes) in STEPS.items():
        table, deltas = fill(DeltaTable(inputs, outputs, capacity=2), name)
        for dtype in dtypes.split():
            generator = torch.Generator().manual_seed(len(tenants))
            x = torch.randn(len(tenants), inputs, generator=generator).to(DTYPES[dtype])
            base = torch.randn(len(tenants), sum(outputs), generator=generator).to(DTYPES[dtype])
            y = delta_linear(x, base, tenants, table)
            plain = specification.delta_linear(x, base, tenants, deltas)
            found[f"{name}, {dtype}"] = {
                "kernel": relative_error(y, x, base, tenants, deltas),
                "plain": relative_error(plain, x, base, tenants, deltas),
                "untouched": all(torch.equal(y[i], base[i]) for i, each in enumerate(tenants) if each < 0),
            }
    return found


def swaps() -> dict[str, bool]:
    """A table whose tenants come and go between steps, with a routing that has tiles to spare."""
    table, x = DeltaTable(130, (40,), capacity=1), torch.randn(3, 130)
    deltas = {tenant: [delta(40, 130, [(2, 5)], seed=tenant)] for tenant in range(3)}
    base, routing, found = torch.zeros(3, 40), Routing.of([2, -1, 0], tiles=5), {}
    for tenant in deltas:
        table.add(tenant, deltas[tenant])

    def right() -> bool:
        return relative_error(delta_linear(x, base, routing, table), x, base, [2, -1, 0], deltas) < 4e-6

    found["three tenants"] = right()
    table.drop(1)
    found["one dropped"] = right()
    deltas[2] = [delta(40, 130, [(8, 2), (3, 40)], seed=9, v_order=True)]
    table.add(2, deltas[2])
    found["one swapped for a larger delta in another order"] = right()
    table.add(0, None)
    deltas[0] = []
    y = delta_linear(x, base, routing, table)
    found["one without a delta"] = bool((y[2] == 0).all())
    return found


def main() -> None:
    restored = {}
    for name, plan in PLANS.items():
        original = delta(70, 200, plan, u_order=True, v_order=True)
        table = DeltaTable(200, (70,))
        table.add(0, original)
        restored[name] = table.layout == "gpu" and same(table.restore(0)[0], original)
    print(json.dumps({"steps": steps(), "swaps": swaps(), "restored": restored}))


if __name__ == "__main__":
    main()
