"""How figures look: colours, markers, legends, widths and fonts."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from bench.plots.accuracy import against_rate
from bench.plots.style import Style, looks, themed
from bench.results.rows import Row
from bench.results.tables import blocks, collect
from tests.plots.test_figures import plot


def test_methods_differ_in_colour_and_in_marker() -> None:
    labels = ["random", *(f"m{number}" for number in range(9))]
    found = looks(labels)
    assert (
        len({look.color for look in found.values()})
        == len({look.marker for name, look in found.items() if name != "random"}) + 1
        == 10
    )
    assert looks(labels) == found
    assert looks(["Chance", "elfs"], "Chance")["Chance"] == found["random"]


def test_a_legend_leaves_the_figure_its_room(grid: Callable[..., list[Row]]) -> None:
    short = blocks(grid({"random": [80.0]}, [0.5]))[0]
    long = {f"elfs(beta=0.{number}, cluster_epochs=30, heads=5)": [80.0] for number in range(9)}
    heights, widths = [], []
    for block in (short, blocks(grid(long, [0.5]))[0]):
        with themed(Style()):
            figure = against_rate(block, Style())
            figure.draw_without_rendering()
            box = figure.axes[0].get_window_extent().transformed(figure.dpi_scale_trans.inverted())
            [legend] = figure.legends
            assert not legend.get_window_extent().overlaps(figure.axes[0].get_window_extent())
            assert legend.get_window_extent().width <= figure.bbox.width
        heights.append(box.height)
        widths.append(box.width)
    assert min(heights) > 1.9
    assert widths[0] == pytest.approx(widths[1], abs=0.1)


@pytest.mark.integration
def test_a_figure_for_a_paper_has_its_width_font_names_and_no_title(run_folder: Path) -> None:
    options = ["--width", "3.25", "--font-size", "7", "--title", "none", "--methods", "elfs=ELFS-ours,random=Random"]
    paths = plot("accuracy", str(run_folder), *options)
    with Image.open(paths[0]) as picture:
        assert picture.width == pytest.approx(3.25 * 150, abs=1)
    svg = paths[1].read_text()
    assert svg.index(">ELFS-ours<") < svg.index(">Random<")
    assert "ccs" not in svg
    assert "encoder pixels" not in svg
    assert max(map(float, re.findall(r"font(?:-size)?: ?([\d.]+)px", svg))) == 7
    with themed(Style(width=3.25)):
        figure = against_rate(blocks(collect([run_folder]))[0], Style(width=3.25, title=""))
        figure.draw_without_rendering()
        for text in (figure.axes[0].xaxis.label, figure.axes[0].yaxis.label):
            box = text.get_window_extent()
            assert box.y0 >= 0
            assert box.x0 >= 0
            assert box.y1 <= figure.bbox.height
    own = plot("accuracy", str(run_folder), "--format", "svg", "--title", "On digits")[0].read_text()
    assert "On digits" in own
    assert "encoder pixels" not in own
