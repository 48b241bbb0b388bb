"""Compressing the matrices that share one input: V of every bit group first, then U on what the quantised V puts out.

For a group g of ranks (section 3.3, Eqs. for V and U):

    V'_g^T = Quant(V_g^T, X)         U'_g = Quant(U_g, diag(s_g) V'_g^T X)

Both need X only through H = 2 / N X X^T: the inputs of U have the Hessian diag(s) V'^T H V' diag(s), r x r. All groups
of all matrices of the set (q, k and v) are rows of one GPTQ run on one factor of H.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from lib.delta_come.allocation import MarginalGain
from lib.delta_come.equal_bytes import EqualBytes
from lib.delta_come.factors import CompressedMatrix, Factor, GroupFactors, QuantisedMatrix, values
from lib.delta_come.gptq import PreparedHessian, gptq, prepare
from lib.delta_come.grid import round_to_nearest
from lib.delta_come.options import CompressOptions
from lib.delta_come.plan import Plan, PlanRule
from lib.delta_come.refit import Refit
from lib.delta_come.spectrum import Decomposition, decompose
from lib.delta_come.whitening import activation_energy, decompose_whitened

_SMALLEST_NORMAL = 2.0**-14  # below it fp16 loses digits


# How the ranks and bits of a matrix are chosen.
Rule = PlanRule | EqualBytes | MarginalGain


@dataclass(frozen=True)
class Task:
    """One matrix with what is to become of it.

    Attributes:
        name: The weight's name.
        delta: dW, float32 [m, n].
        directions: Its singular directions, in the order of the plan.
        plan: Ranks and bits; no groups for a delta of zero.
    """

    name: str
    delta: torch.Tensor
    directions: Decomposition
    plan: Plan

    def of_group(self, number: int) -> Decomposition:
        """Return the directions of one group."""
        start = sum(group.ranks for group in self.plan.groups[:number])
        return self.directions.take(torch.arange(start, start + self.plan.groups[number].ranks))


def make_task(
    name: str,
    delta: torch.Tensor,
    rule: Rule,
    ratio: float,
    options: CompressOptions = CompressOptions(),
    hessian: torch.Tensor | None = None,
) -> Task:
    """Return a matrix' singular directions and its plan.

    Args:
        name: The weight's name.
        delta: dW, [m, n].
        rule: A plan for any shape, the same by true bytes, or an allocation that looks at this matrix' directions.
        ratio: alpha of the budget.
        options: Whether directions are those of the whitened delta.
        hessian: H of its inputs; needed for whitening, and weights the directions of a marginal-gain allocation.
    """
    m, n = delta.shape
    plan = None
    if isinstance(rule, PlanRule):
        plan = rule.resolve(m, n, ratio, name)
    elif isinstance(rule, EqualBytes):
        plan = rule.resolve(m, n, ratio, options.storage, name)
    ranks = plan and plan.total_ranks
    directions = decompose_whitened(delta, hessian, ranks) if options.whiten else decompose(delta, ranks)
    if plan is None:
        importance = directions.singular_values.double().square()
        if hessian is not None:
            importance = importance * activation_energy(directions.V, hessian)
        order = importance.argsort(descending=True, stable=True)
        directions = directions.take(order)
        plan = rule.allocate(importance[order], m, n, ratio, options.storage, name)
    return Task(name, delta.float(), directions, plan.limited(directions.ranks))


def compress_matrices(
    tasks: Sequence[Task],
    hessian: torch.Tensor | None,
    options: CompressOptions = CompressOptions(),
) -> dict[str, CompressedMatrix]:
    """Return all groups of matrices that share their inputs.

    Args:
        tasks: The matrices.
        hessian: H of the inputs; None only where the options do not need it.
        options: The quantiser and its grids.
    """
    everything = [range(len(task.plan.groups)) for task in tasks]
    groups = compress_groups(tasks, everything, hessian, options)
    return {
        task.name: CompressedMatrix(task.name, tuple(task.delta.shape), tuple(own))
        for task, own in zip(tasks, groups, strict=True)
    }


def compress_groups(
    tasks: Sequence[Task],
    which: Sequence[Sequence[int]],
    hessian: torch.Tensor | None,
    options: CompressOptions,
) -> list[list[GroupFactors]]:
    """Return some groups of each matrix: V of all of them first, then U group by group.

    Args:
        tasks: The matrices.
        which: Numbers of the groups, for each matrix.
        hessian: H of their inputs.
        options: The quantiser and its grids.
    """
    parts = [
        (task.of_group(number).V, task.plan.groups[number].bits)
        for task, numbers in zip(tasks, which, strict=True)
        for number in numbers
    ]
    prepared = None
    if options.quantiser == "gptq" and parts:
        prepared = prepare(hessian, options.act_order, options.damping, f"the inputs of {tasks[0].name}")
    quantised = iter(_quantise(parts, prepared, options))
    return [
        _add_U(task, [(task.of_group(number), next(quantised)) for number in numbers], hessian, options)
        for task, numbers in zip(tasks, which, strict=True)
    ]


def _quantise(
    parts: Sequence[tuple[torch.Tensor, int]], hessian: PreparedHessian | None, options: CompressOptions
) -> list[Factor]:
    """Quantise matrices with the same inputs; those of 16 bits are cast."""
    narrow = [(matrix, bits) for matrix, bits in parts if bits < 16]
    if options.quantiser == "rtn":
        done = iter([round_to_nearest(matrix, bits, options.grid) for matrix, bits in narrow])
    else:
        done = iter(gptq(narrow, hessian, options.grid, options.static_groups) if narrow else [])
    return [matrix.half() if bits == 16 else next(done) for matrix, bits in parts]


def _add_U(
    task: Task,
    groups: list[tuple[Decomposition, Factor]],
    hessian: torch.Tensor | None,
    options: CompressOptions,
) -> list[GroupFactors]:
    refit = Refit(task.delta, [(group, values(V)) for group, V in groups], hessian) if options.resolve_u else None
    finished = []
    for number, (group, V) in enumerate(groups):
        U, s = refit.directions(number) if refit else (group.U, group.singular_values)
        made = _quantise_U(U, _stored(s), V, hessian, options, task.name)
        if refit:
            refit.settle(number, values(made.U) * made.singular_values.float(), values(made.V))
        finished.append(made)
    return finished


def _quantise_U(
    U: torch.Tensor, s: torch.Tensor, V: Factor, hessian: torch.Tensor | None, options: CompressOptions, name: str
) -> GroupFactors:
    if not isinstance(V, QuantisedMatrix):
        return GroupFactors(U.half(), V, s)
    if options.quantiser == "rtn":
        grid = options.grid
        made = _rank_scaled(U, V.bits, options) if options.rank_scales else round_to_nearest(U, V.bits, grid)
        return GroupFactors(made, V, s)
    scaled = s.float()[:, None] * V.dequantise()
    inputs = prepare(scaled @ hessian @ scaled.T, options.act_order, options.damping, f"the outputs of V of {name}")
    (made,) = gptq([(U, V.bits)], inputs, options.grid, options.static_groups, options.rank_scales)
    return _absorbed(made, V, s)


def _rank_scaled(U: torch.Tensor, bits: int, options: CompressOptions) -> QuantisedMatrix:
    """Round to the nearest with a grid for each column."""
    turned = round_to_nearest(U.T, bits, replace(options.grid, group_size=U.shape[0]))
    return QuantisedMatrix(
        turned.codes.T.contiguous(), bits, turned.scales.T, turned.zeros.T, 1, symmetric=options.symmetric
    )


def _absorbed(U: QuantisedMatrix, V: QuantisedMatrix, s: torch.Tensor) -> GroupFactors:
    """Put V and s in the order in which U's ranks ran, so that U needs no permutation."""
    if U.permutation is None:
        return GroupFactors(U, V, s)
    order = U.permutation.long()
    rows = replace(V, codes=V.codes[order], scales=V.scales[order], zeros=V.zeros[order])
    return GroupFactors(replace(U, permutation=None), rows, s[order])


def _stored(s: torch.Tensor) -> torch.Tensor:
    """Return singular values as they are stored: fp16, or float32 where one is too small for it."""
    return s.half() if s.numel() and _SMALLEST_NORMAL <= s.min() <= s.max() < 65504 else s.float()
