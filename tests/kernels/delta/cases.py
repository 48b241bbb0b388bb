"""Random deltas of any plan for the tests."""

import torch

from lib.kernels.delta import PackedDelta, PackedGroup, PackedMatrix


def matrix(rows: int, columns: int, bits: int, generator: torch.Generator, order: bool, group_size: int = 128):
    groups = -(-columns // group_size)
    codes = torch.randint(0, 2**bits, (rows, columns), dtype=torch.uint8, generator=generator)
    zeros = torch.randint(0, 2**bits, (rows, groups), dtype=torch.uint8, generator=generator)
    scales = ((torch.rand(rows, groups, generator=generator) + 0.5) * 2.0**-bits / columns**0.5).half()
    permutation = torch.randperm(columns, generator=generator).int() if order else None
    return PackedMatrix.pack(codes, bits, scales, zeros, group_size, permutation)


def delta(outputs: int, inputs: int, plan: list[tuple[int, int]], seed: int = 0, u_order=False, v_order=False):
    """A delta of a plan [(bits, ranks), ...]; with v_order all its groups run the inputs in one order."""
    generator = torch.Generator().manual_seed(seed)
    shared = torch.randperm(inputs, generator=generator).int() if v_order else None
    groups = []
    for bits, ranks in plan:
        v = matrix(ranks, inputs, bits, generator, False)
        v = PackedMatrix(v.planes, bits, inputs, v.scales, v.zeros, permutation=shared)
        u = matrix(outputs, ranks, bits, generator, u_order)
        groups.append(PackedGroup(u, v, torch.rand(ranks, generator=generator).half() + 0.1))
    return PackedDelta(outputs, inputs, tuple(groups))


def same(one: PackedDelta, other: PackedDelta) -> bool:
    """Whether two deltas are equal, bit for bit."""
    if (one.outputs, one.inputs, len(one.groups)) != (other.outputs, other.inputs, len(other.groups)):
        return False
    for a, b in zip(one.groups, other.groups, strict=True):
        if not torch.equal(a.singular_values, b.singular_values):
            return False
        for mine, theirs in ((a.u, b.u), (a.v, b.v)):
            if (mine.bits, mine.columns, mine.group_size) != (theirs.bits, theirs.columns, theirs.group_size):
                return False
            pairs = [
                *zip(mine.planes, theirs.planes, strict=True),
                (mine.scales, theirs.scales),
                (mine.zeros, theirs.zeros),
            ]
            if not all(torch.equal(x, y) for x, y in pairs):
                return False
            if (mine.permutation is None) != (theirs.permutation is None):
                return False
            if mine.permutation is not None and not torch.equal(mine.permutation, theirs.permutation):
                return False
    return True


PLANS = {
    "the paper's, small": [(8, 2), (3, 32), (2, 20)],
    "two bits over two groups of ranks": [(2, 150)],
    "one rank": [(4, 1)],
    "every width": [(8, 1), (7, 2), (6, 3), (5, 4), (4, 9), (3, 33), (2, 17), (1, 3)],
    "eight bits, many ranks": [(8, 40)],
}
# inputs, outputs of the fused projections, a tenant a token, dtypes. Tenant t has the plan number t of PLANS, in U's
# and V's own order if t is even; tenant 7 has no delta, tenant 8 has one in its first projection alone.
STEPS = {
    "one token": (128, (64,), [0], "bf16 fp16"),
    "fused slices of odd sizes": (200, (70, 33, 5), [0, -1, 3, 0, 1, 3, -1, 8], "fp32"),
    "more tokens than a tile": (136, (65,), [1] * 33 + [4], "bf16"),
    "eight of one tenant, none of two": (520, (17,), [2] * 6 + [7, -1, 2, 2], "fp16 bf16"),
    "the base alone": (40, (9,), [-1, -1], "fp32"),
}


def tenant_deltas(name: str) -> dict[int, list]:
    """By tenant of a step, the deltas of its fused projections."""
    inputs, outputs, tenants, _ = STEPS[name]
    plans, found = list(PLANS.values()), {}
    for tenant in sorted(set(tenants) - {-1}):
        even = tenant % 2 == 0
        found[tenant] = [
            delta(m, inputs, plans[tenant % 5], seed=10 * tenant + i, u_order=even, v_order=even)
            if tenant != 7 and (tenant != 8 or i == 0)
            else PackedDelta(m, inputs)
            for i, m in enumerate(outputs)
        ]
    return found


def fill(table, name: str):
    """The table with a step's tenants in it, and their deltas."""
    deltas = tenant_deltas(name)
    for tenant, each in deltas.items():
        table.add(tenant, each)
    return table, deltas


def relative_error(y, x, base, tenants, deltas) -> float:
    """‖y − exact‖ over the size of the exact delta products, against the merged model in float64."""
    exact, added = base.double().clone(), 0.0
    for i, tenant in enumerate(tenants):
        if tenant >= 0 and deltas[tenant]:
            merged = torch.cat([each.delta() for each in deltas[tenant]]).double()
            exact[i] += merged @ x[i].double()
            added += float((merged @ x[i].double()).norm() ** 2)
    return float((y.double() - exact).norm() / max(added**0.5, 1e-9))
