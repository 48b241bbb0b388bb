"""A compressed delta in memory: quantised singular vectors, unpacked.

A matrix [m, n] is kept as sum_g U_g diag(s_g) V_g^T over groups g of one width each. The layer that serves it computes
y = W_b x + sum_g U_g (s_g * (V_g^T x)): V first, then the singular values, then U. Here and in files the matrix V^T
[ranks, n] is what is called `V`: its rows are quantised, and its columns are the layer's inputs.

The order of the ranks within a group means nothing; U's act-order may have changed it (in U, s and V alike).
"""

from dataclasses import dataclass, field
from typing import Any

import torch


@dataclass(frozen=True)
class QuantisedMatrix:
    """A matrix of codes on a grid for every row and group of columns.

    Attributes:
        codes: uint8 [rows, columns], one value each, in the order in which groups run: codes[:, j] belongs to column
            permutation[j] of the matrix.
        bits: 2, 3, 4 or 8.
        scales: fp16 [rows, groups]; or [1, groups] where all rows share them (see `CompressOptions.rank_scales`).
        zeros: uint8, shaped as the scales; the code of the value 0, below 2^bits.
        group_size: Columns a group; the last one may have fewer.
        permutation: int32 [columns]; None: columns are in their natural order.
        symmetric: All zeros are 2^(bits - 1), so none needs to be stored.
    """

    codes: torch.Tensor
    bits: int
    scales: torch.Tensor
    zeros: torch.Tensor
    group_size: int
    permutation: torch.Tensor | None = None
    symmetric: bool = False

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return tuple(self.codes.shape)

    def dequantise(self) -> torch.Tensor:
        """Return scale * (code - zero) in the natural order of columns, float32 [rows, columns]."""
        group = torch.arange(self.codes.shape[1], device=self.codes.device) // self.group_size
        values = self.scales.float()[:, group] * (self.codes.float() - self.zeros.float()[:, group])
        if self.permutation is None:
            return values
        return torch.empty_like(values).index_copy_(1, self.permutation.long(), values)

    @property
    def true_bits(self) -> int:
        """Bits of codes, scales and zeros; the permutation is the matrix' own business (it may be shared)."""
        zeros = 0 if self.symmetric else self.bits * self.zeros.numel()
        return self.bits * self.codes.numel() + 16 * self.scales.numel() + zeros

    def __repr__(self) -> str:
        rows, columns = self.shape
        order = "natural order" if self.permutation is None else "permuted"
        return f"QuantisedMatrix({rows} x {columns}, {self.bits} bits, groups of {self.group_size}, {order})"


# A factor of 16 bits a value is no matrix of codes but a plain fp16 tensor.
Factor = QuantisedMatrix | torch.Tensor


@dataclass(frozen=True)
class GroupFactors:
    """The singular directions of one width, of one matrix.

    Attributes:
        U: [m, r]; QuantisedMatrix, or an fp16 tensor for 16 bits.
        V: [r, n], that is V^T; as U.
        singular_values: [r], fp16, or float32 where fp16 would lose them.
    """

    U: Factor
    V: Factor
    singular_values: torch.Tensor

    @property
    def bits(self) -> int:
        """Width of its codes; 16: not quantised."""
        return self.V.bits if isinstance(self.V, QuantisedMatrix) else 16

    @property
    def ranks(self) -> int:
        """Number of directions."""
        return self.singular_values.numel()

    def delta(self) -> torch.Tensor:
        """Return U diag(s) V^T, float32 [m, n]."""
        return (values(self.U) * self.singular_values.float()) @ values(self.V)

    @property
    def true_bits(self) -> int:
        """Bits of both factors and the singular values, without permutations."""
        return _factor_bits(self.U) + _factor_bits(self.V) + _tensor_bits(self.singular_values)


@dataclass(frozen=True)
class CompressedMatrix:
    """The delta of one weight matrix.

    Attributes:
        name: The weight's name, such as "model.layers.0.self_attn.q_proj.weight".
        shape: (m, n), outputs and inputs.
        groups: In the order of singular values; empty for a delta of zero.
    """

    name: str
    shape: tuple[int, int]
    groups: tuple[GroupFactors, ...]

    def delta(self) -> torch.Tensor:
        """Return sum_g U_g diag(s_g) V_g^T, float32 [m, n]."""
        total = torch.zeros(self.shape)
        for group in self.groups:
            total = total.to(group.singular_values.device).add_(group.delta())
        return total

    @property
    def true_bytes(self) -> int:
        """Bytes of codes, scales, zeros, singular values and permutations (16 bits an index, equal ones once)."""
        factors = (factor for group in self.groups for factor in (group.U, group.V))
        orders = {
            tuple(factor.permutation.tolist())
            for factor in factors
            if isinstance(factor, QuantisedMatrix) and factor.permutation is not None
        }
        return (sum(group.true_bits for group in self.groups) + 16 * sum(map(len, orders)) + 7) // 8

    def __repr__(self) -> str:
        plan = ",".join(f"{group.bits}:{group.ranks}" for group in self.groups) or "zero"
        return f"CompressedMatrix({self.name}, {self.shape[0]} x {self.shape[1]}, {plan}, {self.true_bytes} bytes)"


@dataclass(frozen=True)
class CompressedDelta:
    """What turns a base model into one fine-tuned model.

    Attributes:
        matrices: Projections by the weight's name.
        raw: What is outside the method (norms, biases, embeddings, new rows), as it is stored; left out where equal to
            the base.
        plan: The rule that was followed, as text.
        ratio: alpha of the budget rule.
        base_hash: Of the base model's weights.
        finetuned_hash: Of the fine-tuned model's weights.
        options: How it was compressed, as JSON values.
        tied: Whether the output head is the embedding.
    """

    matrices: dict[str, CompressedMatrix]
    raw: dict[str, torch.Tensor]
    plan: str
    ratio: float
    base_hash: str
    finetuned_hash: str
    options: dict[str, Any] = field(default_factory=dict)
    tied: bool = False

    @property
    def true_bytes(self) -> int:
        """Bytes of all matrices and raw tensors."""
        raw = sum(tensor.numel() * tensor.itemsize for tensor in self.raw.values())
        return raw + sum(matrix.true_bytes for matrix in self.matrices.values())

    def __repr__(self) -> str:
        return (
            f"CompressedDelta({len(self.matrices)} matrices, {len(self.raw)} raw tensors, plan {self.plan}, "
            f"{self.true_bytes / 1e6:.1f} MB)"
        )


def values(factor: Factor) -> torch.Tensor:
    """Return a factor's values, float32."""
    return factor.dequantise() if isinstance(factor, QuantisedMatrix) else factor.float()


def _factor_bits(factor: Factor) -> int:
    return factor.true_bits if isinstance(factor, QuantisedMatrix) else _tensor_bits(factor)


def _tensor_bits(tensor: torch.Tensor) -> int:
    return 8 * tensor.numel() * tensor.itemsize
