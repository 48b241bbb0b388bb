"""What every baseline makes of a delta: matrices that know their true bytes and can be added to the base.

A `CompressedMatrix` of the method has the same face, so both stand in one contest.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import torch

from lib.delta_come.checkpoint import Source
from lib.delta_come.delta import Pair
from lib.delta_come.options import CompressOptions
from lib.delta_come.sequential import by_input, count_blocks, projections_in_block
from lib.delta_come.walk import Walk, working_copy
from lib.progress import progress


class MatrixDelta(Protocol):
    """The delta of one weight matrix as some method keeps it.

    Attributes:
        name: The weight's name.
        shape: (m, n), outputs and inputs.
        true_bytes: All that is stored for it.
    """

    name: str
    shape: tuple[int, int]

    @property
    def true_bytes(self) -> int:
        """All that is stored for it, in bytes."""

    def delta(self) -> torch.Tensor:
        """Return it as a matrix, float32 [m, n]."""


@dataclass(frozen=True)
class StoredDelta:
    """The deltas of all projections as one method keeps them.

    Attributes:
        name: The method's name.
        matrices: By the weight's name.
    """

    name: str
    matrices: Mapping[str, MatrixDelta]

    @property
    def true_bytes(self) -> int:
        """Bytes of all matrices."""
        return sum(matrix.true_bytes for matrix in self.matrices.values())

    def __repr__(self) -> str:
        return f"StoredDelta({self.name}: {len(self.matrices)} matrices, {self.true_bytes} bytes)"


def without_data(name: str, pair: Pair, make: Callable[[str, torch.Tensor], MatrixDelta]) -> StoredDelta:
    """Return the delta of a method that looks at one matrix at a time and at no text.

    Args:
        name: The method's name.
        pair: Base and fine-tune.
        make: From a weight's name and its delta [m, n] to what is stored.
    """
    with torch.no_grad():
        return StoredDelta(name, {own: make(own, delta) for own, delta in pair.deltas()})


def on_calibration(
    name: str,
    pair: Pair,
    finetuned: Source,
    calibration: torch.Tensor,
    make: Callable[[str, torch.Tensor, torch.Tensor], MatrixDelta],
) -> StoredDelta:
    """Return the delta of a method that looks at a layer's inputs, block by block as the paper's method does.

    Args:
        name: The method's name.
        pair: Base and fine-tune.
        finetuned: The source that `take_pair` was given; a model is copied, not changed.
        calibration: Token blocks [sequences, T].
        make: From a weight's name, its delta [m, n] and H [n, n] of its inputs, which come from base + stored delta of
            everything before it, to what is stored.
    """
    matrices: dict[str, MatrixDelta] = {}
    with torch.no_grad():
        walk = Walk(pair, working_copy(pair, finetuned, CompressOptions()), calibration)
        for number in progress(range(count_blocks(pair)), name):
            for own in by_input(projections_in_block(pair, number)):
                hessian = walk.hessian(own[0])
                for weight in own:
                    matrices[weight] = make(weight, pair.delta(weight), hessian)
                    walk.set(weight, matrices[weight].delta())
            walk.advance()
            walk.go_to_next_block()
    return StoredDelta(name, matrices)
