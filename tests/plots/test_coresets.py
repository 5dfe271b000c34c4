"""Figures of coresets and scores: the legend lies over no other text."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.plots.coresets import score_distributions
from bench.plots.style import Style, themed
from bench.results.comparison import scored_coresets
from bench.results.shown import Shown
from bench.results.tables import blocks, collect


@pytest.mark.integration
@pytest.mark.parametrize("methods", ["aum", "aum,elfs", "aum,elfs,el2n,ccs", "prototypicality,elfs,aum,ccs,d2,el2n"])
@pytest.mark.parametrize("width", [None, 3.25])
def test_the_legend_of_scores_lies_over_no_other_text(methods: str, width: float | None) -> None:
    committed = Path(__file__).parents[2] / "results" / "digits-demo"
    [block] = blocks(collect([committed]), shown=Shown(methods))
    style = Style(width=width)
    with themed(style):
        figure = score_distributions(block, 0.5, scored_coresets(block, 0.5, [committed]), style)
        figure.draw_without_rendering()
        [legend] = figure.legends
        axes = [one for one in figure.axes if one.get_visible()]
        others = [
            *(vars(figure)[name] for name in ("_supylabel", "_suptitle")),
            *(text for one in axes for text in (one.title, one.xaxis.label)),
        ]
        assert sum(text.get_text() == "score (easy to hard)" for text in others) == min(3, len(axes))
        boxes = [text.get_window_extent() for text in others if text.get_text()]
        boxes += [label.get_window_extent() for one in axes for label in one.get_xticklabels()]
        assert not any(legend.get_window_extent().overlaps(box) for box in boxes)
