"""What lies where in the three tensors that a compressed matrix is stored as, and how many bytes each takes.

A matrix is stored as `codes` int32 (of each group in turn: V's codes, V's zero points, U's codes, U's zero points, each
one long row of packed planes), `halves` fp16 (of each group: V's scales, then U's; the values themselves for groups of
16 bits) and `singular_values`. Three tensors a matrix, and not the twenty that its factors are, because a safetensors
header spends a hundred bytes on each: for a 135M model at 1/16 that would be 7 % of the file.

A layout holds sizes alone, so that the memory of a tenant is known from a file's header.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, prod
from typing import Any

from lib.delta_come.errors import DeltaError
from lib.delta_come.packed import word_counts

LARGEST_INT16 = 2**15 - 1


@dataclass(frozen=True)
class FactorLayout:
    """Sizes of one factor of one group: V^T [ranks, n] or U [m, ranks].

    Attributes:
        rows: Rows.
        columns: Columns, along which scales are shared.
        bits: 2 to 8; 16: fp16 values, no codes.
        group_size: Columns that share a scale.
        symmetric: Whether the zero points are 2^(bits - 1), and not stored.
        shared: Whether all rows share their scales and zero points.
    """

    rows: int
    columns: int
    bits: int
    group_size: int
    symmetric: bool
    shared: bool = False

    @property
    def groups(self) -> int:
        """Scales in a row."""
        return ceil(self.columns / self.group_size)

    @property
    def scale_shape(self) -> tuple[int, int]:
        """Shape of the scales, and of the zero points."""
        return (1 if self.shared else self.rows), self.groups

    @property
    def code_words(self) -> tuple[int, ...]:
        """Words of the codes, plane by plane; none at 16 bits."""
        return () if self.bits == 16 else word_counts(self.bits, self.rows * self.columns)

    @property
    def zero_words(self) -> tuple[int, ...]:
        """Words of the zero points, plane by plane; none where they are not stored."""
        return () if self.bits == 16 or self.symmetric else word_counts(self.bits, prod(self.scale_shape))

    @property
    def halves(self) -> int:
        """Scales, or at 16 bits values."""
        return self.rows * self.columns if self.bits == 16 else prod(self.scale_shape)

    @property
    def permutation_bytes(self) -> int:
        """Bytes of an order of its columns: 2 a column, 4 beyond 32,767 columns."""
        return self.columns * (2 if self.columns <= LARGEST_INT16 else 4)

    @property
    def nbytes(self) -> int:
        """Bytes of codes, zero points and scales, without a permutation."""
        return 4 * (sum(self.code_words) + sum(self.zero_words)) + 2 * self.halves


@dataclass(frozen=True)
class GroupLayout:
    """Sizes of one bit group: V first, as in files.

    Attributes:
        V: Of V^T, [ranks, n].
        U: Of U, [m, ranks].
    """

    V: FactorLayout
    U: FactorLayout

    @property
    def ranks(self) -> int:
        """Number of singular directions."""
        return self.V.rows

    @property
    def bits(self) -> int:
        """Width of the codes."""
        return self.V.bits


@dataclass(frozen=True)
class MatrixLayout:
    """Sizes of one matrix' delta.

    Attributes:
        shape: (m, n).
        groups: In the order of the singular values; none: the delta is zero.
        singular_bytes: Bytes of a singular value, 2 or 4.
    """

    shape: tuple[int, int]
    groups: tuple[GroupLayout, ...]
    singular_bytes: int = 2

    @property
    def factors(self) -> tuple[FactorLayout, ...]:
        """V and U of each group in turn."""
        return tuple(factor for group in self.groups for factor in (group.V, group.U))

    @property
    def words(self) -> int:
        """Length of `codes`."""
        return sum(sum(factor.code_words) + sum(factor.zero_words) for factor in self.factors)

    @property
    def halves(self) -> int:
        """Length of `halves`."""
        return sum(factor.halves for factor in self.factors)

    @property
    def ranks(self) -> int:
        """Length of `singular_values`."""
        return sum(group.ranks for group in self.groups)

    @property
    def nbytes(self) -> int:
        """Bytes of all three, without permutations, which matrices share."""
        return 4 * self.words + 2 * self.halves + self.singular_bytes * self.ranks

    @property
    def plan(self) -> str:
        """The groups as a plan, such as "8:2,3:32,2:88"; "zero" where there are none."""
        return ",".join(f"{group.bits}:{group.ranks}" for group in self.groups) or "zero"

    def to_json(self) -> dict[str, Any]:
        """Return the layout as JSON values."""
        groups = [
            [group.bits, group.ranks, *([f.group_size, f.symmetric, f.shared] for f in (group.V, group.U))]
            for group in self.groups
        ]
        return {"shape": list(self.shape), "groups": groups, "singular_bytes": self.singular_bytes}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "MatrixLayout":
        """Return the layout that `to_json` wrote.

        Raises:
            DeltaError: It is none.
        """
        try:
            m, n = (int(size) for size in content["shape"])
            groups = tuple(
                GroupLayout(
                    FactorLayout(int(ranks), n, int(bits), *_grid(V)), FactorLayout(m, int(ranks), int(bits), *_grid(U))
                )
                for bits, ranks, V, U in content["groups"]
            )
            return cls((m, n), groups, int(content["singular_bytes"]))
        except (KeyError, TypeError, ValueError) as error:
            raise DeltaError(f"{content!r} is no layout of a matrix ({type(error).__name__}: {error})") from error


def _grid(content: Sequence[Any]) -> tuple[int, bool, bool]:
    group_size, symmetric, shared = content
    return int(group_size), bool(symmetric), bool(shared)
