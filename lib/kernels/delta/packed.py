"""The delta of one weight matrix as the kernels take it: low-rank factors in a few bits, in groups of one width each.

    ΔW = Σ_g U_g diag(s_g) V_gᵀ          U_g [m, r], s_g [r], V_gᵀ [r, n]; here `v` is V_gᵀ, whose rows are quantised
    value = scale · (code − zero)        one scale and zero a row and group of 128 neighbouring columns

Canonical codes are packed along the columns, which a product sums over: of V the inputs, of U the ranks. A code is cut
into planes whose widths are powers of two, the widest first and in the lowest bits (3 bits are 2 + 1); a plane of
width w is int32 [rows, ceil(columns·w / 32)], the first column in the lowest bits. A word may be negative: bit 31 is
data. `permutation` says in which order the columns run: column j of the codes belongs to column permutation[j] of the
matrix (GPTQ's act-order).

Two other forms are taken: a U whose rows share their scales, and fp16 factors as they are (16 bits).
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

    Factor = "PackedMatrix | torch.Tensor"

GROUP = 128  # columns a scale, in every layout of the kernels


@dataclass(frozen=True)
class PackedMatrix:
    """One factor.

    Attributes:
        planes: The codes, int32 [rows, ceil(columns · w / 32)] for each width w.
        bits: Bits of a code, 1 to 8.
        columns: Columns.
        scales: fp16 [rows, groups]; of a U also [1, groups], which all rows share.
        zeros: uint8, shaped as the scales.
        group_size: Columns a scale: a multiple of 128, or at least `columns`; any number where rows share scales.
        permutation: int32 [columns]; None: natural order.
    """

    planes: "tuple[torch.Tensor, ...]"
    bits: int
    columns: int
    scales: "torch.Tensor"
    zeros: "torch.Tensor"
    group_size: int = GROUP
    permutation: "torch.Tensor | None" = None

    @classmethod
    def pack(
        cls,
        codes: "torch.Tensor",
        bits: int,
        scales: "torch.Tensor",
        zeros: "torch.Tensor",
        group_size: int = GROUP,
        permutation: "torch.Tensor | None" = None,
    ) -> "PackedMatrix":
        """Return the factor of codes uint8 [rows, columns], in the order of `permutation`."""
        return cls(pack(codes, bits), bits, codes.shape[1], scales, zeros, group_size, permutation)

    @property
    def rows(self) -> int:
        """Rows."""
        return self.planes[0].shape[0]

    @property
    def shared(self) -> bool:
        """Whether all rows share their scales."""
        return len(self.scales) == 1 and (self.rows > 1 or self.group_size < min(GROUP, self.columns))

    def codes(self) -> "torch.Tensor":
        """Return the codes, uint8 [rows, columns], in the order of `permutation`."""
        return unpack(self.planes, self.bits, self.columns)

    def values(self) -> "torch.Tensor":
        """Return the values in natural order, float32 [rows, columns]."""
        import torch

        group = torch.arange(self.columns, device=self.scales.device) // self.group_size
        values = self.scales.float()[:, group] * (self.codes().float() - self.zeros.float()[:, group])
        if self.permutation is None:
            return values
        return torch.empty_like(values).index_copy_(1, self.permutation.long(), values)

    @property
    def nbytes(self) -> int:
        """Bytes of codes, scales and zeros."""
        return sum(tensor.nbytes for tensor in (*self.planes, self.scales, self.zeros))

    def check(self, name: str) -> None:
        """Raise what is wrong with it.

        Raises:
            TypeError: A tensor has another dtype.
            ValueError: A shape, the width or the group size does not fit.
        """
        import torch

        groups = -(-self.columns // self.group_size)
        grid = (1 if self.shared else self.rows, groups)
        words = enumerate(self._plane_words())
        wanted = [(plane, f"plane {i}", torch.int32, (self.rows, columns)) for i, (plane, columns) in words]
        wanted += [(self.scales, "scales", torch.float16, grid), (self.zeros, "zeros", torch.uint8, grid)]
        for tensor, part, dtype, shape in wanted:
            if tensor.dtype != dtype:
                raise TypeError(f"{name}: {part} is {tensor.dtype}, expected {dtype}")
            if tuple(tensor.shape) != shape:
                raise ValueError(f"{name}: {part} has the shape {list(tensor.shape)}, expected {list(shape)}")
        if self.group_size % GROUP and self.group_size < self.columns and not self.shared:
            raise ValueError(
                f"{name}: groups of {self.group_size} columns; the kernels take multiples of {GROUP} or one group a "
                "row: compress with group_size=128"
            )
        if self.permutation is not None and tuple(self.permutation.shape) != (self.columns,):
            raise ValueError(f"{name}: the permutation has {list(self.permutation.shape)}, expected [{self.columns}]")

    def _plane_words(self) -> "list[tuple[torch.Tensor, int]]":
        widths = plane_widths(self.bits)
        if len(widths) != len(self.planes):
            raise ValueError(f"{self.bits} bits are {len(widths)} planes, got {len(self.planes)}")
        return [(plane, -(-self.columns * width // 32)) for plane, width in zip(self.planes, widths, strict=True)]


@dataclass(frozen=True)
class PackedGroup:
    """The singular directions of one width.

    Attributes:
        u: U [m, r]; packed, or as v an fp16 tensor.
        v: Vᵀ [r, n].
        singular_values: s [r], any floating type.
    """

    u: "Factor"
    v: "Factor"
    singular_values: "torch.Tensor"

    @property
    def ranks(self) -> int:
        """Number of directions."""
        return len(self.singular_values)

    @property
    def bits(self) -> int:
        """Bits of a code; 16: fp16 values."""
        return self.v.bits if isinstance(self.v, PackedMatrix) else 16

    def check(self, name: str, outputs: int, inputs: int) -> None:
        """Raise what is wrong with it: see `PackedMatrix.check`."""
        import torch

        kinds = [isinstance(factor, PackedMatrix) and factor.bits for factor in (self.u, self.v)]
        if kinds[0] != kinds[1]:
            given = ["fp16 values" if not bits else f"{bits} bits" for bits in kinds]
            raise ValueError(f"{name}: U has {given[0]} and V {given[1]}; expected the same")
        for part, factor, shape in (("U", self.u, (outputs, self.ranks)), ("V", self.v, (self.ranks, inputs))):
            if isinstance(factor, PackedMatrix):
                factor.check(f"{name}, {part}")
                found = (factor.rows, factor.columns)
                if part == "V" and factor.shared:
                    raise ValueError(f"{name}, V: rows share their scales; the kernels take that of U alone")
            elif factor.dtype != torch.float16:
                raise TypeError(f"{name}, {part} is {factor.dtype}; what is not packed is torch.float16")
            else:
                found = tuple(factor.shape)
            if found != shape:
                raise ValueError(f"{name}, {part} is {found[0]} × {found[1]}, expected {shape}")


@dataclass(frozen=True)
class PackedDelta:
    """The delta of one weight matrix [m, n]; no groups: a delta of zero."""

    outputs: int
    inputs: int
    groups: tuple[PackedGroup, ...] = ()

    def delta(self) -> "torch.Tensor":
        """Return ΔW, float32 [m, n]."""
        import torch

        total = torch.zeros(self.outputs, self.inputs)
        for group in self.groups:
            total = total.to(group.singular_values.device)
            total += (values(group.u) * group.singular_values.float()) @ values(group.v)
        return total

    @property
    def nbytes(self) -> int:
        """Bytes of codes, scales, zeros and singular values."""
        return sum(group.u.nbytes + group.v.nbytes + group.singular_values.nbytes for group in self.groups)

    def check(self) -> None:
        """Raise what is wrong with it: see `PackedMatrix.check`."""
        for number, group in enumerate(self.groups):
            group.check(f"group {number}", self.outputs, self.inputs)


def values(factor: "Factor") -> "torch.Tensor":
    """Return a factor's values in natural order, float32 [rows, columns]."""
    return factor.values() if isinstance(factor, PackedMatrix) else factor.float()


def plane_widths(bits: int) -> tuple[int, ...]:
    """Return the widths that a code is cut into, the lowest bits first.

    >>> plane_widths(3)
    (2, 1)

    Raises:
        ValueError: The width is not 1 to 8.
    """
    if not 1 <= bits <= 8:
        raise ValueError(
            f"codes have 1 to 8 bits, got {bits}; factors of 16 bits are no codes: give them as fp16 tensors"
        )
    return tuple(width for width in (8, 4, 2, 1) if bits & width)


def pack(codes: "torch.Tensor", bits: int) -> "tuple[torch.Tensor, ...]":
    """Return the canonical planes of codes uint8 [rows, columns]."""
    import torch

    planes, shift = [], 0
    for width in plane_widths(bits):
        each = 8 // width
        cells = torch.nn.functional.pad((codes >> shift) & (2**width - 1), (0, -codes.shape[1] % (32 // width)))
        cells = cells.unflatten(1, (-1, each))
        packed = cells[:, :, 0].clone()
        for place in range(1, each):
            packed |= cells[:, :, place] << (width * place)
        planes.append(packed.view(torch.int32))
        shift += width
    return tuple(planes)


def unpack(planes: "tuple[torch.Tensor, ...]", bits: int, columns: int) -> "torch.Tensor":
    """Return the codes, uint8 [rows, columns], of canonical planes."""
    import torch

    codes, shift = torch.zeros(planes[0].shape[0], columns, dtype=torch.uint8, device=planes[0].device), 0
    for plane, width in zip(planes, plane_widths(bits), strict=True):
        shifts = torch.arange(0, 8, width, dtype=torch.uint8, device=plane.device)
        cells = (plane.contiguous().view(torch.uint8)[:, :, None] >> shifts) & (2**width - 1)
        codes |= cells.flatten(1)[:, :columns] << shift
        shift += width
    return codes
