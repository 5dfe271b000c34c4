"""What the coresets are made of: classes, scores of what was kept, and overlap between methods."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.plots.style import Style, heat, legend_below, letters, new_figure
from bench.results.comparison import Overlap
from bench.results.published import find_coreset, find_scores, is_whole_split
from bench.results.rows import Row
from bench.results.table_text import percent
from bench.results.tables import Block

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Scored(NamedTuple):
    """Scores of one coreset's pool: of all images, and of those that were kept.

    Attributes:
        label: of its method.
        row: which coreset.
        scores: float32 [N], high = hard.
        kept: bool [N].
    """

    label: str
    row: Row
    scores: NDArray[np.float32]
    kept: NDArray[np.bool_]


def scored(block: Block, rate: float, folders: Sequence[Path]) -> list[Scored]:
    """The first seed of every method that reported scores and whose files are there.

    Indices are positions in the full training split, scores those of the pool; only where the pool is the whole split
    can the two be matched without the data.
    """
    found = []
    for line in block.lines:
        rows = line.rows_at(rate)
        row = rows[min(rows)] if rows else None
        if row is None or not is_whole_split(row.dataset):
            continue
        indices, scores = find_coreset(row, folders), find_scores(row, folders)
        if indices is None or scores is None:
            continue
        kept = np.zeros(row.pool_size, dtype=bool)
        kept[indices] = True
        found.append(Scored(line.label, row, scores, kept))
    return found


def class_balance(block: Block, rate: float, style: Style) -> Figure:
    """Images of each class in a coreset relative to equal shares, mean over seeds: 1 is balanced, 0 is a lost class."""
    lines, values = [], []
    for line in block.lines:
        rows = line.rows_at(rate).values()
        if rows:
            counts = np.array([row.class_counts for row in rows], dtype=np.float64)
            lines.append(line.label)
            values.append((counts / counts.mean(axis=1, keepdims=True)).mean(axis=0))
    classes = len(values[0])
    size = _beside(lines, style) + 1.2 + min(12.0, 0.45 * classes), 1.2 + 0.32 * len(lines)
    figure, axes = new_figure(style, f"{block.name}, {percent(rate)} removed", *size)
    bar = {"label": "relative to equal shares"}
    heat(axes, np.array(values), lines, classes, ".1f", cmap="cividis", vmin=0, vmax=2, cbar_kws=bar)
    axes.set(xlabel="class", xticklabels=range(classes))
    return figure


def coreset_overlap(block: Block, rate: float, found: Overlap, style: Style) -> Figure:
    """Jaccard overlap of the coresets of two methods at the same seed; on the diagonal between seeds."""
    count = len(found.labels)
    values = np.full((count, count), np.nan)
    for (i, j), agreement in found.coresets.items():
        if agreement.mean is not None:
            values[i, j] = values[j, i] = agreement.mean
    labels = [f"{label}  {number + 1}" for number, label in enumerate(found.labels)]
    size = _beside(labels, style) + 1.4 + 0.45 * count, 1.2 + 0.38 * count
    title = f"{block.name}, {percent(rate)} removed; by chance {found.chance:.2f}"
    figure, axes = new_figure(style, title, *size)
    heat(axes, values, labels, count, ".2f", cmap="cividis", vmin=0, vmax=1, cbar_kws={"label": "Jaccard overlap"})
    axes.set(xticklabels=range(1, count + 1))
    return figure


def score_distributions(block: Block, rate: float, found: Sequence[Scored], style: Style) -> Figure:
    """Histograms of each method's scores, kept and dropped apart; the hard end is to the right."""
    columns = min(3, len(found))
    lines = -(-len(found) // columns)
    size = 2.4 * columns + 0.6, 1.9 * lines + 0.7
    title = f"{block.name}, {percent(rate)} removed, seed {' or '.join(sorted({str(one.row.seed) for one in found}))}"
    figure, grid = new_figure(style, title, *size, nrows=lines, ncols=columns, squeeze=False)
    for axes, one in zip(grid.flat, found, strict=False):
        edges = np.histogram_bin_edges(one.scores, bins=40)
        parts = [one.scores[one.kept], one.scores[~one.kept]]
        axes.hist(parts, bins=edges, stacked=True, color=["#0173b2", "#c9ced4"], label=["kept", "dropped"], linewidth=0)
        axes.set_title("\n".join(textwrap.wrap(one.label, 28)))
    for axes in grid.flat[len(found) :]:
        axes.set_visible(False)
    # Each lowest histogram names its axis: matplotlib lays a legend outside the axes over one name below them all.
    for axes in grid.flat[max(0, len(found) - columns) : len(found)]:
        axes.set_xlabel("score (easy to hard)")
    figure.supylabel("images")
    legend_below(figure, grid[0, 0], style)
    return figure


def _beside(labels: Sequence[str], style: Style) -> float:
    """Inches that the longest of some labels takes."""
    return letters(max(map(len, labels)), style) / 72
