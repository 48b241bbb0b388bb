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
            pairs = [*zip(mine.planes, theirs.planes, strict=True), (mine.scales, theirs.scales), (mine.zeros, theirs.zeros)]
            if not all(torch.equal(x, y) for x, y in pairs):
                return False
            if (mine.permutation is None) != (theirs.permutation is None):
                return False
            if mine.permutation is not None and not torch.equal(mine.permutation, theirs.permutation):
                return False
    return True
