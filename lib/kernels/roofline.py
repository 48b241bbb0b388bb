"""The fewest bytes that a layer must move, and how long that takes: the floor that measured times are held against.

    bytes = out·in·bits/8 (weights, once) + rows·(in + out)·size (activations) + (in + out)·size (g and h)
    floor = bytes / bandwidth

Decoding one batch is memory-bound at any precision, so 1 bit in place of 16 is worth at most a factor of 16.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Traffic:
    """What one product moves.

    Attributes:
        weights: Bytes of the weights.
        activations: Bytes of the inputs and outputs.
        scales: Bytes of g and h; 0 for a dense product.
    """

    weights: int
    activations: int
    scales: int

    @property
    def total(self) -> int:
        """Bytes in all."""
        return self.weights + self.activations + self.scales

    def floor_us(self, gigabytes_per_s: float) -> float:
        """Return the microseconds that moving them takes at a bandwidth in 10⁹ bytes a second.

        >>> round(packed(28672, 8192, 1, 2).floor_us(3350), 1)
        8.8
        """
        return self.total / gigabytes_per_s / 1e3


def packed(outputs: int, inputs: int, rows: int, activation_bytes: int) -> Traffic:
    """Return what a product with ±1 weights moves; `activation_bytes` is the size of an activation, of g and of h."""
    return Traffic(
        -(-inputs // 8) * outputs, rows * (inputs + outputs) * activation_bytes, (inputs + outputs) * activation_bytes
    )


def dense(outputs: int, inputs: int, rows: int, weight_bytes: int) -> Traffic:
    """Return what a dense product moves, its activations as wide as its weights."""
    return Traffic(outputs * inputs * weight_bytes, rows * (inputs + outputs) * weight_bytes, 0)
