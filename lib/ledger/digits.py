"""Numbers as people read them: at most four significant digits, the same on every machine."""

import math

_STEPS = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def four_digits(number: float | None, resolution: float = math.inf) -> str:
    """Return a number with at most four significant digits: 0.3719, 9999, 134.5 M, 1.2e-07; "–" for None.

    Args:
        number: The number.
        resolution: Differences of this size are to be seen, with more digits if need be.
    """
    if number is None:
        return "–"
    if isinstance(number, bool) or not math.isfinite(number):
        return str(number)
    if 0 < 1000 * resolution < abs(number):
        return f"{number:.{min(15, math.ceil(math.log10(abs(number) / resolution)))}g}"
    rounded = float(f"{number:.4g}")  # first, so that 9999.6 is 10 k and not 1e+04
    if 1e4 <= abs(rounded) < 1e16:
        step, suffix = next(each for each in _STEPS if abs(rounded) >= each[0])
        return f"{rounded / step:.4g} {suffix}"
    return f"{rounded:.4g}"


def interval_text(interval: tuple[float, float] | None) -> str:
    """Return an interval as text, "" where there is none."""
    return "" if interval is None else f"{four_digits(interval[0])} to {four_digits(interval[1])}"


def paper_text(value: float | tuple[float, ...] | None) -> str:
    """Return the paper's number or numbers in full, as the paper prints them; "–" where it gives none."""
    if value is None:
        return "–"
    return ", ".join(f"{each:.10g}" for each in (value if isinstance(value, tuple) else (value,)))
