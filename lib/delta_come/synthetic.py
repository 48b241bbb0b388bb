"""Artifacts of no fine-tune, for measuring memory and speed with more tenants than anyone has fine-tunes.

    delta = synthetic_delta(matrix_shapes(model), "8:2,3:32,2:rest", 1 / 16, seed=7)

Codes are drawn at random, which no kernel and no byte count can tell from real ones; the scales are such that the delta
is small against the base, so that the model that it makes still puts out finite numbers.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from lib.delta_come.errors import DeltaError
from lib.delta_come.plan import Plan, Storage
from lib.models import is_projection

if TYPE_CHECKING:
    import torch

    from lib.delta_come.factors import CompressedDelta, CompressedMatrix, Factor

_STORAGE = Storage()


def matrix_shapes(model: "torch.nn.Module") -> dict[str, tuple[int, int]]:
    """Return (m, n) of each projection of a model, by the weight's name."""
    return {name: tuple(weight.shape) for name, weight in model.named_parameters() if is_projection(name)}


def synthetic_delta(
    shapes: Mapping[str, tuple[int, int]],
    plan: str,
    ratio: float = 1 / 16,
    seed: int = 0,
    storage: Storage = _STORAGE,
    size: float = 0.01,
    base_hash: str = "",
) -> "CompressedDelta":
    """Return a compressed delta of random codes.

    Args:
        shapes: (m, n) of each matrix, by the weight's name.
        plan: A rule such as "8:2,3:32,2:rest".
        ratio: alpha of the budget.
        seed: Of all that is drawn.
        storage: What is stored beside the codes; a permutation is drawn where it asks for one.
        size: About the root mean square of a matrix' delta (more where the storage is symmetric).
        base_hash: Of the base that it is to belong to; empty: any of these shapes.

    Raises:
        DeltaError: There are no shapes, the plan can't be read, or the budget is too small for it.
    """
    import torch

    from lib.delta_come.factors import CompressedDelta

    if not shapes:
        raise DeltaError("there are no matrices to make a synthetic delta of")
    rule, dice = Plan.parse(plan), torch.Generator().manual_seed(seed)
    orders = {n: torch.randperm(n, generator=dice).int() for _, n in shapes.values()} if storage.permutation else {}
    matrices = {
        name: _matrix(name, m, n, rule.resolve(m, n, ratio, name), storage, size, orders.get(n), dice)
        for name, (m, n) in shapes.items()
    }
    return CompressedDelta(matrices, {}, str(rule), ratio, base_hash, f"synthetic {seed}")


def _matrix(
    name: str,
    m: int,
    n: int,
    plan: Plan,
    storage: Storage,
    size: float,
    order: "torch.Tensor | None",
    dice: "torch.Generator",
) -> "CompressedMatrix":
    import torch

    from lib.delta_come.factors import CompressedMatrix, GroupFactors

    # Factors have values of variance 1: a sum over r ranks has variance sum s^2, so that s = size / sqrt(r) gives size.
    value = size / plan.total_ranks**0.5
    groups: list[GroupFactors] = []
    for group in plan.groups:
        V = _factor(group.ranks, n, group.bits, storage, order, dice)
        U = _factor(m, group.ranks, group.bits, storage, None, dice, storage.rank_scales)
        groups.append(GroupFactors(U, V, torch.full((group.ranks,), value).half()))
    return CompressedMatrix(name, (m, n), tuple(groups))


def _factor(
    rows: int,
    columns: int,
    bits: int,
    storage: Storage,
    order: "torch.Tensor | None",
    dice: "torch.Generator",
    rank_scales: bool = False,
) -> "Factor":
    import torch

    from lib.delta_come.factors import QuantisedMatrix

    if bits == 16:
        return torch.randn(rows, columns, generator=dice).half()
    codes = torch.randint(2**bits, (rows, columns), generator=dice, dtype=torch.uint8)
    group_size = 1 if rank_scales else storage.group_size
    shape = (1 if rank_scales else rows, -(-columns // group_size))
    scale = (12 / (4**bits - 1)) ** 0.5  # of 2^b equally likely, equally spaced values of variance 1
    zeros = torch.full(shape, 2 ** (bits - 1), dtype=torch.uint8)
    if not storage.symmetric:  # the middle of the grid lies between two codes: take either, or the values have a mean
        zeros -= torch.randint(2, shape, generator=dice, dtype=torch.uint8)
    scales = torch.full(shape, scale).half()
    return QuantisedMatrix(codes, bits, scales, zeros, group_size, order, storage.symmetric)
