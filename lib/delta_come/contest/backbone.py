"""A base on a 4-bit grid under the same deltas (Table 10, App. C).

The delta is that of the dense pair; only what it is added to is rounded. Four models tell what the rounding costs:

    drop_16 = R(W_b + dW) - R(W_b + dW')        drop_4 = R(Q(W_b) + dW) - R(Q(W_b) + dW')

with dW' the compressed delta. R(W_b + dW) is 1 by definition.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from lib.delta_come.baselines import StoredDelta
from lib.delta_come.contest.setting import Setting, share
from lib.delta_come.errors import DeltaError
from lib.delta_come.grid import GridOptions, round_to_nearest
from lib.ledger.intervals import bootstrap_interval

_BITS, _GROUP = 4, 128


@dataclass(frozen=True)
class Backbones:
    """Recovered shares on both bases.

    Attributes:
        exact_4: R of the 4-bit base with the exact delta.
        compressed_4: R of the 4-bit base with the compressed delta.
        compressed_16: R of the base as it is with the compressed delta.
        extra_drop: drop_4 - drop_16, in R.
        extra_drop_interval: 95 %, bootstrap over items.
    """

    exact_4: float
    compressed_4: float
    compressed_16: float
    extra_drop: float
    extra_drop_interval: tuple[float, float]


def rounded_base(setting: Setting, bits: int = _BITS, group_size: int = _GROUP) -> dict[str, torch.Tensor]:
    """Return the base's projections rounded to the nearest point of a grid of `bits`, clipped, by the weight's name."""
    weights, options = setting.pair.base.weights, GridOptions(group_size, clip=True)
    return {
        name: round_to_nearest(weights[name].float(), bits, options).dequantise() for name in setting.pair.projections
    }


def compare_backbones(setting: Setting, stored: StoredDelta, correct: Sequence[bool], seed: int = 0) -> Backbones:
    """Return what a delta is worth on the base and on its 4-bit copy.

    Args:
        setting: Pair and items.
        stored: The compressed delta of that pair.
        correct: Which items it answers rightly on the base as it is.
        seed: Of the bootstrap.

    Raises:
        DeltaError: The fine-tune gained next to nothing, so there are no shares of it.
    """
    if not setting.gained:
        raise DeltaError(f"{setting} has gained next to nothing that a 4-bit base could cost; take another pair")
    base = rounded_base(setting)
    exact_4 = setting.correct(setting.model(None, base=base))
    compressed_4 = setting.correct(setting.model(stored, base=base))
    drops = [
        ((a - b) - (c - d)) / setting.gain
        for a, b, c, d in zip(exact_4, compressed_4, setting.finetuned_correct, correct, strict=True)
    ]
    R = [setting.recovery(share(answered)) for answered in (exact_4, compressed_4, correct)]
    return Backbones(*R, sum(drops) / len(drops), bootstrap_interval(drops, seed=seed))
