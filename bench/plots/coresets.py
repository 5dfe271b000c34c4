"""Figures of coresets: their classes, the scores of kept images, and overlap between methods."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from bench.plots.style import Style, heat, legend_below, letters, new_figure
from bench.results.block import Block
from bench.results.comparison import ScoredCoreset, square
from bench.units import percent

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


def class_balance(block: Block, rate: float, style: Style) -> Figure:
    """Return a figure of each class's images relative to equal shares, mean over seeds: 1 is balanced, 0 is lost."""
    lines, values = [], []
    for line in block.lines:
        cells = block.cells_of(line, rate)
        if len(cells):
            counts = np.array(cells["class_counts"].tolist(), dtype=np.float64)
            lines.append(line.label)
            values.append((counts / counts.mean(axis=1, keepdims=True)).mean(axis=0))
    classes = len(values[0])
    size = _beside(lines, style) + 1.2 + min(12.0, 0.45 * classes), 1.2 + 0.32 * len(lines)
    figure, axes = new_figure(style, f"{block.name}, {percent(rate)} removed", *size)
    bar = {"label": "relative to\nequal shares"}  # in two lines, since one method makes a low figure
    heat(axes, np.array(values), lines, classes, ".1f", cmap="cividis", vmin=0, vmax=2, cbar_kws=bar)
    axes.set(xlabel="class", xticklabels=range(classes))
    return figure


def coreset_overlap(block: Block, rate: float, pairs: pd.DataFrame, style: Style) -> Figure:
    """Return a heatmap of the Jaccard overlap of methods' coresets, from ``method_agreements``."""
    pairs = pairs[pairs["measure"] == "jaccard"]
    # NaN leaves a field empty: an unknown overlap is not an overlap of 0.
    values = square(pairs)
    count, labels = len(values), [f"{label}  {number + 1}" for number, label in enumerate(values.index)]
    size = _beside(labels, style) + 1.4 + 0.45 * count, 1.2 + 0.38 * count
    title = f"{block.name}, {percent(rate)} removed; by chance {pairs['chance'].iloc[0]:.2f}"
    figure, axes = new_figure(style, title, *size)
    bar = {"label": "Jaccard overlap"}
    heat(axes, values.to_numpy(), labels, count, ".2f", cmap="cividis", vmin=0, vmax=1, cbar_kws=bar)
    axes.set(xticklabels=range(1, count + 1))
    return figure


def score_distributions(block: Block, rate: float, coresets: Sequence[ScoredCoreset], style: Style) -> Figure:
    """Return histograms of each method's scores, kept and dropped in different colours; the hard end is on the right.

    The pool must be the full training split, since coresets are positions in it.
    """
    columns = min(3, len(coresets))
    lines = -(-len(coresets) // columns)
    size = 2.4 * columns + 0.6, 1.9 * lines + 0.7
    seeds = " or ".join(sorted({str(coreset.row.seed) for coreset in coresets}))
    title = f"{block.name}, {percent(rate)} removed, seed {seeds}"
    figure, grid = new_figure(style, title, *size, nrows=lines, ncols=columns, squeeze=False)
    for axes, coreset in zip(grid.flat, coresets, strict=False):
        # Bins from all scores, so that kept and dropped images share them.
        edges = np.histogram_bin_edges(coreset.scores, bins=40)
        kept = np.isin(np.arange(len(coreset.scores)), coreset.coreset)
        parts = [coreset.scores[kept], coreset.scores[~kept]]
        axes.hist(parts, bins=edges, stacked=True, color=["#0173b2", "#c9ced4"], label=["kept", "dropped"], linewidth=0)
        axes.set_title("\n".join(textwrap.wrap(coreset.label, 28)))
    for axes in grid.flat[len(coresets) :]:
        axes.set_visible(False)
    # The lowest histograms name their axes: matplotlib would draw a legend over a common name below all of them.
    for axes in grid.flat[max(0, len(coresets) - columns) : len(coresets)]:
        axes.set_xlabel("score (easy to hard)")
    figure.supylabel("images")
    legend_below(figure, grid[0, 0], style)
    return figure


def _beside(labels: Sequence[str], style: Style) -> float:
    """Return the width of the longest label in inches."""
    return letters(max(map(len, labels)), style) / 72
