"""Bits by marginal gain: the plan of one matrix with the least expected error under its true bytes.

Rank i at b bits is expected to leave the error w_i d(b): w_i = s_i^2 times the energy that v_i sees in the inputs, d(b)
the share that grids of b bits lose on both vectors, d(0) = 1 for a rank that is dropped. A rank at b bits costs c(b),
the same for every rank. So each rank takes steps up the lower convex hull of the points (c(b), d(b)), and a step from b
to b' has the gain per bit w_i (d(b) - d(b')) / (c(b') - c(b)).

Taking all steps in the order of their gain per bit, until the budget is spent, is optimal: along the hull gains only
shrink, so no step is taken before the one below it, and any other way to spend as many bits swaps a step for one with
less gain. (It solves the linear relaxation of a multiple-choice knapsack; the integer optimum can differ by less than
one step, some hundredths of a percent of the budget.) A larger w_i never gets fewer bits, so groups are contiguous.

What a width costs once, whatever its ranks (started groups of scales), no step can weigh. Therefore every subset of the
widths is solved on its own, with the exact bytes of `Plan.true_bits`, and the best one is taken: 31 small sorts.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations, pairwise
from math import ceil

import numpy as np
import torch

from lib.delta_come.equal_bytes import true_budget
from lib.delta_come.errors import DeltaError
from lib.delta_come.plan import WIDTHS, Group, Plan, Storage

# Mean squared error of normal values in groups of 128 on the grids of `grid`, in shares of their energy.
MIN_MAX = {2: 0.250, 3: 0.0462, 4: 0.0101, 8: 3.5e-5, 16: 1e-7}
CLIPPED = {2: 0.134, 3: 0.0347, 4: 0.0090, 8: 3.5e-5, 16: 1e-7}


@dataclass(frozen=True)
class MarginalGain:
    """Chooses each matrix' plan from its own directions.

    Attributes:
        like: A plan such as "8:2,3:32,2:rest" whose true bytes are the budget of each matrix; None: 16 alpha m n bits,
            which leaves fewer codes than the paper's rule.
        widths: Which bits may be used.
        loss: Share of its energy that one vector loses at each width; MIN_MAX or CLIPPED for rounding to the nearest.
        compensation: Share of that loss which remains after GPTQ; 1 for rounding to the nearest. On synthetic layers
            0.5 gave better plans than 1 and 0.3.
    """

    like: str | None = None
    widths: tuple[int, ...] = WIDTHS
    loss: Mapping[int, float] = field(default_factory=lambda: dict(MIN_MAX))
    compensation: float = 0.5

    def allocate(
        self,
        importance: torch.Tensor,
        m: int,
        n: int,
        ratio: float,
        storage: Storage = Storage(),
        name: str = "the matrix",
    ) -> Plan:
        """Return the plan of an m x n matrix.

        Args:
            importance: w_i, decreasing, [R].
            m: Outputs.
            n: Inputs.
            ratio: alpha.
            storage: What is stored beside the codes.
            name: What error messages call the matrix.

        Raises:
            DeltaError: The budget is too small for a single rank.
        """
        if not len(importance):
            return Plan(())
        budget = true_budget(self.like, m, n, ratio, name)
        weights = importance.double().cpu().numpy()
        plans = [
            plan
            for count in range(1, len(self.widths) + 1)
            for widths in combinations(sorted(self.widths), count)
            if (plan := self._best_with(widths, weights, m, n, budget, storage)).groups
        ]
        if not plans:
            raise DeltaError(
                f"a budget of {budget} bits is too small for one rank of {name} ({m} x {n}); take a larger ratio"
            )
        return min(plans, key=lambda plan: (self.expected_error(plan, weights), plan.true_bits(m, n, storage)))

    def expected_error(self, plan: Plan, importance: Sequence[float] | np.ndarray) -> float:
        """Return sum_i w_i d(b_i), dropped ranks included."""
        shares = np.ones(len(importance))
        start = 0
        for group in plan.groups:
            shares[start : start + group.ranks] = self._loss_of(group.bits)
            start += group.ranks
        return float(shares @ np.asarray(importance))

    def __str__(self) -> str:
        # All that decides a plan: results are kept, and unfinished work is gone on with, under this text.
        usual = MarginalGain()
        losses = " ".join(f"{bits}:{loss:g}" for bits, loss in sorted(self.loss.items()))
        settings = {
            f"bytes of {self.like}": self.like is not None,
            f"widths {' '.join(map(str, self.widths))}": self.widths != usual.widths,
            f"losses {losses}": dict(self.loss) != usual.loss,
            f"compensation {self.compensation:g}": self.compensation != usual.compensation,
        }
        return ", ".join(["marginal gain", *(text for text, unusual in settings.items() if unusual)])

    def _loss_of(self, bits: int) -> float:
        """d(b): what both vectors lose together; more than everything is not lost, a rank would be dropped."""
        return min(1.0, 2 * self.loss[bits] * self.compensation)

    def _best_with(
        self, widths: tuple[int, ...], weights: np.ndarray, m: int, n: int, budget: int, storage: Storage
    ) -> Plan:
        """Return the plan that uses some widths, by steps of decreasing gain per bit; empty where none fits."""
        hull = _lower_hull([(0, 0.0, 1.0), *((b, _rank_bits(b, m, n, storage), self._loss_of(b)) for b in widths)])
        if len(hull) <= len(widths):  # a width off the hull is never used: another subset does without it
            return Plan(())
        slopes = np.array([(a[2] - b[2]) / (b[1] - a[1]) for a, b in pairwise(hull)])
        gains = slopes[:, None] * weights  # [steps up the hull, R]
        level = np.repeat(np.arange(len(slopes)), len(weights))
        order = np.argsort(-gains.ravel(), kind="stable")
        reached = np.cumsum(level[order] == np.arange(len(slopes))[:, None], axis=1)  # ranks at or above each level

        def plan_after(steps: int) -> Plan:
            counts = reached[:, steps - 1] if steps else np.zeros(len(slopes), int)
            own = counts - np.append(counts[1:], 0)
            groups = [Group(bits, int(ranks)) for (bits, *_), ranks in zip(hull[1:], own, strict=True) if ranks]
            return Plan(tuple(reversed(groups)))

        low, high = 0, len(order)
        while low < high:  # the most steps that fit
            middle = (low + high + 1) // 2
            if plan_after(middle).true_bits(m, n, storage) <= budget:
                low = middle
            else:
                high = middle - 1
        return _filled(plan_after(low), hull[1][0], len(weights), m, n, budget, storage)


def _filled(plan: Plan, bits: int, ranks: int, m: int, n: int, budget: int, storage: Storage) -> Plan:
    """Spend what one step too many has left over on further ranks of the lowest width."""
    while plan.total_ranks < ranks:
        last = plan.groups[-1] if plan.groups and plan.groups[-1].bits == bits else None
        grown = (*plan.groups[:-1], Group(bits, last.ranks + 1)) if last else (*plan.groups, Group(bits, 1))
        if Plan(grown).true_bits(m, n, storage) > budget:
            return plan
        plan = Plan(grown)
    return plan


def _rank_bits(bits: int, m: int, n: int, storage: Storage) -> float:
    """c(b): bits of one more rank, with its part of the scales that groups of ranks share."""
    if bits == 16:
        return 16 * (m + n) + storage.singular_value_bits
    a_scale = 16 + (0 if storage.symmetric else bits)
    U_scales = 1 if storage.rank_scales else m / storage.group_size
    return bits * (m + n) + (U_scales + ceil(n / storage.group_size)) * a_scale + storage.singular_value_bits


def _lower_hull(points: list[tuple[int, float, float]]) -> list[tuple[int, float, float]]:
    """Return those of (bits, cost, loss), by rising cost, that no mixture of others beats."""
    hull: list[tuple[int, float, float]] = []
    for point in _falling(points):
        while len(hull) >= 2 and _slope(hull[-2], hull[-1]) <= _slope(hull[-1], point):
            hull.pop()
        hull.append(point)
    return hull


def _falling(points: list[tuple[int, float, float]]) -> Iterator[tuple[int, float, float]]:
    least = float("inf")
    for point in sorted(points, key=lambda point: point[1]):
        if point[2] < least:
            least = point[2]
            yield point


def _slope(a: tuple[int, float, float], b: tuple[int, float, float]) -> float:
    """Gain per bit from a to b."""
    return (a[2] - b[2]) / (b[1] - a[1])
