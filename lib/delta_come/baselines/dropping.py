"""DARE followed by GPTQ ("DARE-Qt"): most of a delta dropped at random, what stays rescaled and quantised.

    kept_ij ~ 1 with density d,   W' = kept * dW / d,   codes of W' at k bits by GPTQ, dropped weights stay 0

The mask is drawn from a seed and the weight's name, so storing it costs nothing: `delta` draws it again. What is stored
is k bits a kept weight and one scale and zero point a row. Given the width k, the density is what the budget leaves:

    k d m n + (16 + k) m <= budget
"""

import hashlib
from dataclasses import dataclass

import torch

from lib.delta_come.errors import DeltaError
from lib.delta_come.gptq import PreparedHessian, prepare
from lib.delta_come.grid import Grid, fit_grid

_CHUNK = 128  # columns whose corrections are applied to the rest in one product


@dataclass(frozen=True)
class DroppedMatrix:
    """Codes of the weights that stayed.

    Attributes:
        name: The weight's name; part of what the mask is drawn from.
        shape: (m, n), outputs and inputs.
        codes: uint8 [kept], row by row.
        bits: Bits a code.
        scales: fp16 [m, 1].
        zeros: uint8 [m, 1].
        seed: Of the mask.
    """

    name: str
    shape: tuple[int, int]
    codes: torch.Tensor
    bits: int
    scales: torch.Tensor
    zeros: torch.Tensor
    seed: int

    @property
    def density(self) -> float:
        """Share of weights that stayed."""
        return self.codes.numel() / (self.shape[0] * self.shape[1])

    @property
    def true_bytes(self) -> int:
        """Codes, scales and zero points; the mask is free."""
        return (self.bits * self.codes.numel() + (16 + self.bits) * self.scales.numel() + 7) // 8

    def delta(self) -> torch.Tensor:
        """Return scale * (code - zero) where a weight stayed and 0 elsewhere, float32 [m, n]."""
        kept = drawn_mask(self.name, self.shape, self.codes.numel(), self.seed)
        codes = self.zeros.float().expand(self.shape).clone()
        codes[kept] = self.codes.float()
        return self.scales.float() * (codes - self.zeros.float())


def drop_and_quantise(
    name: str, delta: torch.Tensor, hessian: torch.Tensor, bits: int, budget: int, seed: int = 0
) -> DroppedMatrix:
    """Return a delta at the density that a width leaves.

    Args:
        name: The weight's name.
        delta: dW, [m, n].
        hessian: H of its inputs, [n, n].
        bits: Width k of a code.
        budget: Bits.
        seed: Of the mask.

    Raises:
        DeltaError: The budget does not pay for the scales and a weight a row.
    """
    m, n = delta.shape
    count = min(m * n, (budget - (16 + bits) * m) // bits)
    if count < m:
        raise DeltaError(
            f"{bits} bits a kept weight and a scale a row of {name} ({m} x {n}) leave no weight of each row in a "
            f"budget of {budget} bits; take a larger ratio"
        )
    kept = drawn_mask(name, (m, n), count, seed)
    weight = torch.where(kept, delta.float() * (m * n / count), 0.0)
    codes, grid = masked_gptq(weight, kept, bits, prepare(hessian, name=f"the inputs of {name}"))
    zeros = grid.zero.expand(m)[:, None].to(torch.uint8)
    return DroppedMatrix(name, (m, n), codes[kept].to(torch.uint8), bits, grid.scale[:, None].half(), zeros, seed)


def drawn_mask(name: str, shape: tuple[int, int], count: int, seed: int) -> torch.Tensor:
    """Return which `count` weights of a matrix stay, bool [m, n]; the same for the same arguments."""
    digest = hashlib.sha256(f"{name} {seed}".encode()).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))
    kept = torch.zeros(shape[0] * shape[1], dtype=torch.bool)
    kept[torch.randperm(len(kept), generator=generator)[:count]] = True
    return kept.reshape(shape)


def masked_gptq(
    weight: torch.Tensor, kept: torch.Tensor, bits: int, hessian: PreparedHessian
) -> tuple[torch.Tensor, Grid]:
    """Return codes [m, n], float32, and one grid a row; a dropped weight has the code of 0.

    As `lib.delta_come.gptq`, but what reaches a dropped weight is passed on to the columns after it.

    Args:
        weight: W', 0 where dropped, [m, n].
        kept: bool [m, n].
        bits: Width of a code.
        hessian: Of the inputs.
    """
    columns, mask = weight.float().T.contiguous(), kept.T[hessian.order]
    columns[hessian.dead] = 0
    grid = fit_grid(columns, torch.full((len(weight),), 2.0**bits - 1))
    columns, codes = columns[hessian.order], torch.empty_like(columns)
    for first in range(0, len(columns), _CHUNK):
        last = min(first + _CHUNK, len(columns))
        chunk, block = columns[first:last], hessian.factor[first:last, first:last]
        errors = torch.empty_like(chunk)
        for j in range(last - first):
            codes[first + j] = code = torch.where(mask[first + j], grid.codes(chunk[j]), grid.zero)
            errors[j] = (chunk[j] - grid.values(code)) / block[j, j]
            chunk[j + 1 :].addr_(block[j, j + 1 :], errors[j], alpha=-1)
        columns[last:].addmm_(hessian.factor[first:last, last:].T, errors, alpha=-1)
    return torch.empty_like(codes).index_copy_(0, hessian.order, codes).T, grid
