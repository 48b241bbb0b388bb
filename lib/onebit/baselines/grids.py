"""Even grids between a row's minimum and maximum: what round-to-nearest, GPTQ and LLM-QAT put weights on.

Asymmetric, as GPTQ's quantiser: with l = min(0, row), u = max(0, row), codes q = 0 ... 2^b - 1 stand for
step * (q - zero), step = (u - l) / (2^b - 1), zero = round(-l / step). A weight of 0 stays 0. At one bit zero is not
rounded: the two values are l and u.

Symmetric, as LLM-QAT: codes -(2^(b-1) - 1) ... 2^(b-1) - 1 times step = max|row| / (2^(b-1) - 1). At two bits that
leaves -1, 0 and 1: one of the four codes is never used.
"""

from dataclasses import dataclass

import torch

_SMALLEST_STEP = 1e-30  # in an all-zero row, which stays zero


@dataclass(frozen=True)
class RowGrid:
    """One grid a row.

    Attributes:
        step: Distance of neighbouring values, [m, 1].
        zero: Code that stands for 0, [m, 1].
        lowest: Smallest code.
        highest: Largest code.
    """

    step: torch.Tensor
    zero: torch.Tensor
    lowest: int
    highest: int

    def nearest(self, weight: torch.Tensor) -> torch.Tensor:
        """Return the nearest value on each row's grid, for weights [m, any number]."""
        codes = (weight / self.step + self.zero).round()
        return (codes.clamp(self.lowest, self.highest) - self.zero) * self.step


def row_grid(weight: torch.Tensor, bits: int, symmetric: bool = False) -> RowGrid:
    """Return the grid of each row of a matrix [m, n].

    Args:
        weight: W, not empty.
        bits: 1 to 8; a symmetric grid needs 2 or more, it has no value but 0 at one bit.
        symmetric: Which of the two kinds.

    Raises:
        ValueError: The bits are out of range.
    """
    least = 2 if symmetric else 1
    if not least <= bits <= 8:
        raise ValueError(f"{'a symmetric' if symmetric else 'an asymmetric'} grid has {least} to 8 bits, got {bits}")
    if symmetric:
        highest = 2 ** (bits - 1) - 1
        step = (weight.abs().amax(1, keepdim=True) / highest).clamp(min=_SMALLEST_STEP)
        return RowGrid(step, torch.zeros_like(step), -highest, highest)
    low, high = weight.amin(1, keepdim=True).clamp(max=0), weight.amax(1, keepdim=True).clamp(min=0)
    highest = 2**bits - 1
    step = ((high - low) / highest).clamp(min=_SMALLEST_STEP)
    zero = -low / step
    return RowGrid(step, zero if bits == 1 else zero.round(), 0, highest)


def round_to_nearest(weight: torch.Tensor, bits: int, symmetric: bool = False) -> torch.Tensor:
    """Return a matrix [m, n] with every weight moved to the nearest value of its row's grid (RTN)."""
    return row_grid(weight, bits, symmetric).nearest(weight)


def bits_per_weight(bits: int, columns: int, symmetric: bool = False) -> float:
    """Return the stored bits a weight: its code, and a row's 16-bit step and, if asymmetric, the code of its zero.

    At one bit both of a row's values are stored in 16 bits.
    """
    zero = 0 if symmetric else 16 if bits == 1 else bits
    return bits + (16 + zero) / columns
