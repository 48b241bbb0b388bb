"""Figures carry alt text and the same figure gives the same bytes."""

from itertools import pairwise

import matplotlib
import pytest

matplotlib.use("agg")
import matplotlib.pyplot as plt

from lib import plotting


def line() -> plt.Figure:
    plotting.style()
    figure, axes = plt.subplots()
    axes.plot([1, 2], [3, 4])
    plotting.paper_value(axes, 3.5, "paper: 3.5")
    return figure


def test_the_same_figure_gives_the_same_bytes():
    assert plotting._png(line()) == plotting._png(line())


def test_a_picture_hands_its_alt_text_to_the_notebook():
    png, metadata = plotting._Picture(b"\x89PNG", "Two rising points.")._repr_png_()
    assert (png, metadata) == (b"\x89PNG", {"alt": "Two rising points."})


def test_showing_closes_the_figure():
    plt.close("all")
    plotting.show(line(), alt="Two rising points.")
    assert plt.get_fignums() == []


def test_a_figure_without_alt_text_is_refused():
    with pytest.raises(ValueError, match="empty alt text"):
        plotting.show(line(), alt=" ")
    plt.close("all")


def test_the_colours_are_eight_and_distinct():
    assert len(set(plotting.COLOURS)) == 8


@pytest.mark.parametrize("span", [(36, 210), (0.9, 1100), (19, 95), (101, 118), (50, 90), (0.002, 0.7)])
def test_plain_ticks_have_room_for_their_labels(span):
    figure, axes = plt.subplots(figsize=(4, 3))
    axes.set(xscale="log", xlim=span)
    plotting.plain_ticks(axes.xaxis)
    figure.canvas.draw()
    boxes = [tick.get_window_extent() for tick in axes.get_xticklabels(which="both") if tick.get_text()]
    boxes.sort(key=lambda box: box.x0)
    assert 2 <= len(boxes) <= 6
    assert all(one.x1 < two.x0 for one, two in pairwise(boxes))
    plt.close(figure)
