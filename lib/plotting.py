"""One figure style: Okabe-Ito colours, readable axes, and alt text that travels with every picture.

    plotting.style()
    figure, axes = plt.subplots()
    ...
    plotting.show(figure, alt="Relative error by layer type; SVID is lowest everywhere.")

`show` publishes the picture as a PNG whose alt text lies in the output's metadata, where report pages and screen
readers find it. Without a notebook (a script, a test) it closes the figure and shows nothing.
"""

import io
import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

# Okabe & Ito, "Color Universal Design" (2008): eight colours told apart with any colour vision. Yellow stands last,
# because thin yellow lines vanish on white.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7", "#000000", "#F0E442")

_LABELS = 6  # of a logarithmic axis

_DOTS_PER_INCH = 110  # sharp on a laptop's screen; a figure of 7 x 4 inches stays near 40 KB


def style() -> None:
    """Set matplotlib to the house style; call it once, before the first figure."""
    import matplotlib as mpl

    mpl.rcParams.update(
        {
            "axes.prop_cycle": mpl.cycler(color=COLOURS),
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "axes.axisbelow": True,
            "axes.titlelocation": "left",
            "axes.titlesize": "medium",
            "grid.color": "#e3e3e3",
            "grid.linewidth": 0.7,
            "figure.figsize": (7.0, 3.8),
            "figure.facecolor": "white",  # a page in dark mode still shows black labels on white
            "figure.constrained_layout.use": True,
            "font.family": "DejaVu Sans",  # inside matplotlib's wheel: the same picture on every machine
            "font.size": 9.5,
            "legend.frameon": False,
            "image.cmap": "cividis",  # even for colour-blind readers
        }
    )


def show(figure: "Figure", alt: str) -> None:
    """Publish a figure in the notebook and close it.

    Args:
        figure: The figure.
        alt: What a reader who cannot see it should know, in a sentence or two.

    Raises:
        ValueError: The alt text is empty.
    """
    import matplotlib.pyplot as plt
    from IPython import get_ipython
    from IPython.display import display

    if not alt.strip():
        raise ValueError("show() got an empty alt text; say in a sentence what the figure shows.")
    if get_ipython() is not None:
        display(_Picture(_png(figure), alt))
    plt.close(figure)


def paper_value(axes: "Axes", value: float, label: str, horizontal: bool = True) -> None:
    """Draw the paper's value as a dashed reference line with its label at the end of the line.

    Args:
        axes: Where to draw.
        value: The value, in the axis' own unit.
        label: Its source, such as "paper, Table 3: 90.4 %".
        horizontal: A line across (the value lies on the y axis) or up.
    """
    import matplotlib.transforms as transforms

    line = axes.axhline if horizontal else axes.axvline
    line(value, color="#444444", linestyle="--", linewidth=1.0, zorder=1.5)
    if horizontal:
        across = transforms.blended_transform_factory(axes.transAxes, axes.transData)
        axes.text(0.995, value, label, transform=across, ha="right", va="bottom", color="#444444", fontsize="small")
    else:
        upward = transforms.blended_transform_factory(axes.transData, axes.transAxes)
        axes.text(value, 0.995, f" {label}", transform=upward, ha="left", va="top", color="#444444", fontsize="small")


def plain_ticks(side: "Axis") -> None:
    """Label a logarithmic axis with plain numbers, 50 and not 5 × 10¹, and no more of them than have room.

    Call it when all is drawn: the labels are chosen by what the axis spans.

    Args:
        side: `axes.xaxis` or `axes.yaxis`.
    """
    low, high = sorted(side.get_view_interval())
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [digit * 10.0**power for power in powers for digit in range(1, 10)]
    shown: list[float] = []
    for digits in ("123456789", "12345678", "1235", "125", "12", "1"):
        shown = [tick for tick in ticks if low <= tick <= high and f"{tick:e}"[0] in digits]
        if len(shown) <= _LABELS:
            break
    if len(shown) < 2:  # less than a step of the coarsest kind: even steps, as on a linear axis
        from matplotlib.ticker import MaxNLocator

        shown = [tick for tick in MaxNLocator(_LABELS - 1).tick_values(low, high) if low <= tick <= high]
    side.set_ticks(shown, [f"{tick:g}" for tick in shown])
    side.set_minor_formatter("")


def _png(figure: "Figure") -> bytes:
    buffer = io.BytesIO()
    # No software tag and no date in the file: the same figure gives the same bytes.
    figure.savefig(buffer, format="png", dpi=_DOTS_PER_INCH, metadata={"Software": None})
    return buffer.getvalue()


class _Picture:
    """A PNG with its alt text, in the form that IPython displays."""

    def __init__(self, png: bytes, alt: str) -> None:
        self.png = png
        self.alt = alt

    def __repr__(self) -> str:
        return f"[figure: {self.alt}]"

    def _repr_png_(self) -> tuple[bytes, dict[str, str]]:
        return self.png, {"alt": self.alt}
