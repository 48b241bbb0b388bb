"""How many bytes a method may take, all metadata counted."""

from collections.abc import Iterable
from dataclasses import dataclass

from lib.delta_come.delta import Pair
from lib.delta_come.equal_bytes import true_budget

_A_NUMBER = 16  # bits; with it, the scale of each of BitDelta's passes fits at 1/16, 1/8, ...


@dataclass(frozen=True)
class Budget:
    """The same for every method.

    Attributes:
        ratio: alpha: of the bytes that a projection takes in 16 bits.
        like: None: alpha is real, 16 alpha m n bits. A plan such as "8:2,3:32,2:rest": what it takes with its scales
            when its codes alone take alpha, which is more (the paper's own way to count).
    """

    ratio: float
    like: str | None = None

    def bits(self, m: int, n: int, name: str = "the matrix") -> int:
        """Return the bits that an m x n matrix may take: alpha of it, and an fp16 number for each bit a weight.

        Raises:
            DeltaError: The ratio is not above 0, or `like` does not fit.
        """
        return true_budget(self.like, m, n, self.ratio, name) + _A_NUMBER * max(1, int(16 * self.ratio))

    def bytes(self, shapes: Iterable[tuple[int, int]]) -> int:
        """Return the bytes that matrices may take together."""
        return sum((self.bits(m, n) + 7) // 8 for m, n in shapes)

    def __str__(self) -> str:
        return ratio_text(self.ratio) + (f" as {self.like} counts" if self.like else "")


def projection_shapes(pair: Pair) -> dict[str, tuple[int, int]]:
    """Return (m, n) of every projection."""
    return {name: tuple(pair.base.weights[name].shape) for name in pair.projections}


def ratio_text(ratio: float) -> str:
    """Return "1/16" for 0.0625."""
    return f"1/{1 / ratio:.4g}"
