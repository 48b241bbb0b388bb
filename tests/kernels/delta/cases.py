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


def of_ranks(u: PackedMatrix, group_size: int) -> PackedMatrix:
    """U with the scales of its first row for all rows, `group_size` ranks each."""
    groups = -(-u.columns // group_size)
    scales, zeros = (each[:1].repeat(1, groups)[:, :groups].clone() for each in (u.scales, u.zeros))
    scales *= torch.linspace(0.5, 1, groups).half()
    zeros += torch.arange(groups, dtype=torch.uint8)
    return PackedMatrix(u.planes, u.bits, u.columns, scales, zeros & (2**u.bits - 1), group_size, u.permutation)


def delta(outputs: int, inputs: int, plan: list[tuple[int, ...]], seed: int = 0, u_order=False, v_order=False):
    """A delta of a plan [(bits, ranks), ...]; with v_order all its groups run the inputs in one order.

    Bits of 16 are fp16 values; a third number is how many ranks share a scale of U, which all rows then share too.
    """
    generator = torch.Generator().manual_seed(seed)
    shared = torch.randperm(inputs, generator=generator).int() if v_order else None
    groups = []
    for bits, ranks, *rank_group in plan:
        values = torch.rand(ranks, generator=generator).half() + 0.1
        if bits == 16:
            u, v = (torch.randn(shape, generator=generator).half() for shape in ((outputs, ranks), (ranks, inputs)))
            groups.append(PackedGroup(u / outputs**0.5, v / inputs**0.5, values))
            continue
        v = matrix(ranks, inputs, bits, generator, False)
        v = PackedMatrix(v.planes, bits, inputs, v.scales, v.zeros, permutation=shared)
        u = matrix(outputs, ranks, bits, generator, u_order)
        groups.append(PackedGroup(of_ranks(u, *rank_group) if rank_group else u, v, values))
    return PackedDelta(outputs, inputs, tuple(groups))


def same(one: PackedDelta, other: PackedDelta) -> bool:
    """Whether two deltas are equal, bit for bit; fp16 factors to fp16's own step."""
    if (one.outputs, one.inputs, len(one.groups)) != (other.outputs, other.inputs, len(other.groups)):
        return False
    for a, b in zip(one.groups, other.groups, strict=True):
        if not torch.equal(a.singular_values, b.singular_values):
            return False
        if a.bits == b.bits == 16:
            if not all(close(*pair) for pair in ((a.u, b.u), (a.v, b.v))):
                return False
            continue
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


def close(mine: torch.Tensor, theirs: torch.Tensor) -> bool:
    """Whether fp16 values differ by less than 2^-15 of the largest, and the rounding back to fp16."""
    return bool((mine.float() - theirs.float()).abs().max() <= theirs.abs().max() * 2.0**-11)


PLANS = {
    "the paper's, small": [(8, 2), (3, 32), (2, 20)],
    "two bits over two groups of ranks": [(2, 150)],
    "one rank": [(4, 1)],
    "every width": [(8, 1), (7, 2), (6, 3), (5, 4), (4, 9), (3, 33), (2, 17), (1, 3)],
    "eight bits, many ranks": [(8, 40)],
    "sixteen bits before others": [(16, 7), (3, 9), (16, 2)],
    "scales of ranks": [(8, 2, 1), (3, 33, 1), (2, 140, 1), (2, 9, 4)],
}
# inputs, outputs of the fused projections, a tenant a token, dtypes. Tenant t has the plan number t of PLANS (more
# tenants than plans: from the first again), in U's and V's own order if t is even; tenant 7 has no delta, tenant 8 has
# one in its first projection alone.
SIXTEEN_BITS, STEP_OF_16_BITS = "values of 16 bits, and scales of ranks", 2.0**-15
STEPS = {
    "one token": (128, (64,), [0], "bf16 fp16"),
    "fused slices of odd sizes": (200, (70, 33, 5), [0, -1, 3, 0, 1, 3, -1, 8], "fp32"),
    SIXTEEN_BITS: (200, (70, 33, 5), [5, -1, 6, 5, 13], "fp32 fp16 bf16"),
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
            delta(m, inputs, plans[tenant % len(plans)], seed=10 * tenant + i, u_order=even, v_order=even)
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
