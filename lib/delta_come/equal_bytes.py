"""Plans by true bytes: scales, zero points and singular values are paid for, not only codes.

The paper's rule counts codes alone, so a plan with many narrow ranks gets more bytes from it than one with few wide
ones, and a method without scales per row gets nothing for doing without. Fair comparisons fix the bytes instead.
"""

from dataclasses import dataclass

from lib.delta_come.errors import DeltaError
from lib.delta_come.options import PAPER
from lib.delta_come.plan import Group, Plan, Storage, bit_rank_budget

# How the paper stores a plan: act-order with groups in running order.
_AS_THE_PAPER = Storage(permutation=True)


@dataclass(frozen=True)
class EqualBytes:
    """A rule whose last part, the rest, is filled up to the true bytes of another plan.

    Attributes:
        rule: A plan that ends in a rest, such as "3:rest"; shares are of the paper's budget.
        like: The plan whose bytes are spent; None: 16 alpha m n bits.
    """

    rule: str
    like: str | None = PAPER

    def __post_init__(self) -> None:
        last = Plan.parse(self.rule).parts[-1]
        if last.ranks is not None or last.share is not None:
            raise DeltaError(f"only a plan that ends in a rest can be filled up, such as 3:rest; got {self.rule!r}")

    def resolve(self, m: int, n: int, ratio: float, storage: Storage = Storage(), name: str = "the matrix") -> Plan:
        """Return the plan of an m x n matrix: as many ranks in the last group as the bytes allow.

        Raises:
            DeltaError: The bytes are too few for the plan.
        """
        budget = true_budget(self.like, m, n, ratio, name)
        *fixed, last = Plan.parse(self.rule).parts
        groups = tuple(Group(part.bits, part.ranks_of(bit_rank_budget(m, n, ratio))) for part in fixed)
        taken = sum(group.ranks for group in groups)

        def plan(ranks: int) -> Plan:
            return Plan((*groups, Group(last.bits, ranks)) if ranks else groups).limited(min(m, n))

        low, high = 0, max(0, min(m, n) - taken)
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if plan(middle).true_bits(m, n, storage) <= budget else (low, middle - 1)
        found = plan(low)
        if not found.groups or found.true_bits(m, n, storage) > budget:
            raise DeltaError(
                f"the plan {self.rule} does not fit {name} ({m} x {n}) into {budget} bits with its scales; take fewer "
                "ranks, shares of the budget (such as 3:4.7%), or a larger ratio"
            )
        return found

    def __str__(self) -> str:
        return f"{self.rule} filled to the bytes of {self.like or 'the ratio'}"


def true_budget(like: str | None, m: int, n: int, ratio: float, name: str = "the matrix") -> int:
    """Return the bits that an m x n matrix may take: those of a plan as the paper stores it, or 16 alpha m n."""
    if like is None:
        return int(bit_rank_budget(m, n, ratio) * (m + n) + 1e-6)
    return Plan.parse(like).resolve(m, n, ratio, name).true_bits(m, n, _AS_THE_PAPER)
