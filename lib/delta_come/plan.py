"""How many singular directions get how many bits, and what that costs (sections 3.3 and 5.1).

    rule = Plan.parse("8:2,3:32,2:rest")     # 2 ranks at 8 bits, 32 at 3 bits, what the budget leaves at 2 bits
    plan = rule.resolve(4096, 4096, 1 / 16)  # ... which is 968 ranks for this matrix
    plan.true_bits(4096, 4096, Storage())    # with scales, zero points and singular values: 1/14.80, not 1/16

The budget rule counts codes alone: sum_g k_g r_g (m + n) = 16 alpha m n, with k_g bits, r_g ranks and the ratio alpha.
What else must be stored is in `Plan.true_bits`.
"""

import re
from dataclasses import dataclass
from math import ceil, floor

from lib.delta_come.errors import DeltaError

WIDTHS = (2, 3, 4, 8, 16)  # bits a code; 16 is fp16, not quantised

_SLACK = 1e-9  # a budget of 287.99999999 is one of 288
_PART = re.compile(r"(\d+):(?:(\d+)|(\d+(?:\.\d+)?)%|(rest))")


@dataclass(frozen=True)
class Storage:
    """What is stored beside the codes.

    Attributes:
        group_size: Values that share one scale and one zero point; along the inputs for V, along the ranks for U.
        symmetric: Whether zero points are the middle of the grid, and so not stored.
        permutation: Whether the order of V's inputs is stored, once a matrix (act-order with dynamic groups).
        word_bits: Rows of codes are filled up to multiples of this many bits; 1: packed without a gap.
        singular_value_bits: Bits a singular value.
        rank_scales: U has one scale and zero point a rank, not one for each row and group of ranks.
    """

    group_size: int = 128
    symmetric: bool = False
    permutation: bool = False
    word_bits: int = 1
    singular_value_bits: int = 16
    rank_scales: bool = False


@dataclass(frozen=True)
class Group:
    """Neighbouring singular directions of one width.

    Attributes:
        bits: Bits a code, one of WIDTHS.
        ranks: Number of directions.
    """

    bits: int
    ranks: int

    def __post_init__(self) -> None:
        if self.bits not in WIDTHS:
            raise DeltaError(f"a group has 2, 3, 4, 8 or 16 bits, got {self.bits}")
        if self.ranks < 1:
            raise DeltaError(f"a group has at least one rank, got {self.ranks} at {self.bits} bits")

    def __str__(self) -> str:
        return f"{self.bits}:{self.ranks}"


@dataclass(frozen=True)
class Plan:
    """Groups in the order of the singular values, largest first; directions after the last group are dropped.

    Attributes:
        groups: May be empty: nothing is kept.
    """

    groups: tuple[Group, ...]

    @staticmethod
    def parse(text: str) -> "PlanRule":
        """Return the rule that a text such as "8:2,3:32,2:rest" or "8:0.8%,3:4.7%,2:rest" describes.

        Each part is bits:ranks, bits:share of the budget, or (the last one) bits:rest.

        Raises:
            DeltaError: The text is none of these.
        """
        parts = [_PART.fullmatch(part.strip()) for part in text.split(",")]
        if not all(parts) or any(part[4] for part in parts[:-1]):
            raise DeltaError(
                f"cannot read the plan {text!r}: expected parts such as 8:2, 3:4.7% or, as the last one, 2:rest"
            )
        return PlanRule(
            tuple(
                RulePart(int(bits), int(ranks) if ranks else None, float(share) / 100 if share else None)
                for bits, ranks, share, _ in (part.groups() for part in parts)
            )
        )

    @property
    def total_ranks(self) -> int:
        """Number of directions that are kept."""
        return sum(group.ranks for group in self.groups)

    def limited(self, ranks: int) -> "Plan":
        """Return the plan without what exceeds so many ranks."""
        groups = []
        for group in self.groups:
            kept = min(group.ranks, ranks - sum(done.ranks for done in groups))
            if kept > 0:
                groups.append(Group(group.bits, kept))
        return Plan(tuple(groups))

    def payload_bits(self, m: int, n: int) -> int:
        """Return the bits of the codes of an m x n matrix: what the paper counts."""
        return sum(group.bits * group.ranks for group in self.groups) * (m + n)

    def true_bits(self, m: int, n: int, storage: Storage = Storage()) -> int:
        """Return all bits of an m x n matrix: codes, scales, zero points, singular values, permutation."""
        permutation = 16 * n if storage.permutation and any(group.bits < 16 for group in self.groups) else 0
        return permutation + sum(group_bits(group, m, n, storage) for group in self.groups)

    def __str__(self) -> str:
        return ",".join(map(str, self.groups))


@dataclass(frozen=True)
class RulePart:
    """One part of a rule: a number of ranks, a share of the budget, or (both None) what the budget leaves."""

    bits: int
    ranks: int | None = None
    share: float | None = None

    def __post_init__(self) -> None:
        if self.ranks is not None or self.bits not in WIDTHS:
            Group(self.bits, 1 if self.ranks is None else self.ranks)  # for its checks
        if self.share is not None and not 0 < self.share <= 1:
            raise DeltaError(f"a share of the budget is above 0 and at most 100 %, got {100 * self.share:g} %")

    def __str__(self) -> str:
        if self.ranks is not None:
            return f"{self.bits}:{self.ranks}"
        return f"{self.bits}:rest" if self.share is None else f"{self.bits}:{100 * self.share:g}%"


@dataclass(frozen=True)
class PlanRule:
    """A plan for matrices of any shape; `resolve` makes it one for a given shape.

    Attributes:
        parts: In the order of the singular values.
    """

    parts: tuple[RulePart, ...]

    def resolve(self, m: int, n: int, ratio: float, name: str = "the matrix") -> Plan:
        """Return the plan of an m x n matrix whose codes take at most `ratio` of its 16-bit size.

        A share becomes the nearest number of ranks, at least 1. The rest is rounded down; where it is less than one
        rank its group is left out. No plan has more ranks than the matrix: what exceeds them is cut off.

        Args:
            m: Outputs.
            n: Inputs.
            ratio: alpha, such as 1 / 16.
            name: What error messages call the matrix.

        Raises:
            DeltaError: The budget is too small for the plan.
        """
        budget, ranks_left, groups = bit_rank_budget(m, n, ratio), min(m, n), []
        left = budget
        for part in self.parts:
            ranks = min(_ranks(part, budget, left), ranks_left)
            left -= part.bits * ranks
            ranks_left -= ranks
            if ranks:
                groups.append(Group(part.bits, ranks))
        if left < -_SLACK or not groups:
            raise DeltaError(
                f"the plan {self} does not fit {name} ({m} x {n}): it takes "
                f"{budget - left if groups else self.parts[0].bits:g} bit-ranks and the ratio {ratio:.4g} allows "
                f"{budget:.1f}; take fewer ranks, shares of the budget (such as 3:4.7%), or a larger ratio"
            )
        return Plan(tuple(groups))

    def __str__(self) -> str:
        return ",".join(map(str, self.parts))


def bit_rank_budget(m: int, n: int, ratio: float) -> float:
    """Return B = 16 alpha m n / (m + n): how many ranks times bits a ratio allows.

    Raises:
        DeltaError: The ratio is not above 0.
    """
    if not ratio > 0:
        raise DeltaError(f"a ratio is above 0, such as 1/16 = 0.0625, got {ratio}")
    return 16 * ratio * m * n / (m + n)


def group_bits(group: Group, m: int, n: int, storage: Storage = Storage()) -> int:
    """Return all bits of one group of an m x n matrix but those of the permutation."""
    bits, ranks = group.bits, group.ranks
    codes = m * _row_bits(bits, ranks, storage) + ranks * _row_bits(bits, n, storage)
    if bits == 16:
        return codes + ranks * storage.singular_value_bits
    U_scales = ranks if storage.rank_scales else m * ceil(ranks / storage.group_size)
    scales = U_scales + ranks * ceil(n / storage.group_size)
    return codes + scales * (16 + (0 if storage.symmetric else bits)) + ranks * storage.singular_value_bits


def _row_bits(bits: int, columns: int, storage: Storage) -> int:
    return ceil(bits * columns / storage.word_bits) * storage.word_bits


def _ranks(part: RulePart, budget: float, left: float) -> int:
    if part.ranks is not None:
        return part.ranks
    if part.share is not None:
        return max(1, round(part.share * budget / part.bits))
    return max(0, floor(left / part.bits + _SLACK))
