"""What the coresets are made of: classes, scores of what was kept, and overlap between methods."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bench.plots.style import Draw, Theme, entitle, heat, new_figure
from bench.results.comparison import Overlap
from bench.results.published import indices_path, is_whole_split, read_indices, read_scores, scores_path
from bench.results.rows import Row
from bench.results.table_text import percent
from bench.results.tables import Block

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def class_balance(block: Block, rate: float) -> Draw:
    """Images of each class in a coreset relative to equal shares, mean over seeds: 1 is balanced, 0 is a lost class."""
    return partial(_class_balance, block, rate)


def coreset_overlap(block: Block, rate: float, found: Overlap) -> Draw:
    """Jaccard overlap of the coresets of two methods at the same seed; on the diagonal between seeds."""
    return partial(_coreset_overlap, block, rate, found)


class Scored:
    """Scores of one coreset's pool: of all images, and of those that were kept.

    Attributes:
        row: which coreset.
        scores: float32 [N], high = hard.
        kept: bool [N].
    """

    def __init__(self, row: Row, scores: NDArray[np.float32], kept: NDArray[np.bool_]) -> None:
        self.row, self.scores, self.kept = row, scores, kept


def scored(block: Block, rate: float, folders: Sequence[Path]) -> list[Scored]:
    """The first seed of every method that reported scores and whose files are there.

    Indices are positions in the full training split, scores those of the pool; only where the pool is the whole split
    can the two be matched without the data.
    """
    found = []
    for line in block.lines:
        rows = line.rows_at(rate)
        row = rows[min(rows)] if rows else None
        if row is None or not row.scores_sha256 or not is_whole_split(row.dataset):
            continue
        folder = next((one for one in folders if scores_path(one, row.scores_sha256).exists()), None)
        if folder is None or not indices_path(folder, row.cell_id).exists():
            continue
        indices = read_indices(indices_path(folder, row.cell_id), sha256=row.indices_sha256)
        scores = read_scores(scores_path(folder, row.scores_sha256), sha256=row.scores_sha256)
        kept = np.zeros(row.pool_size, dtype=bool)
        kept[indices] = True
        found.append(Scored(row, scores, kept))
    return found


def score_distributions(block: Block, rate: float, found: Sequence[Scored]) -> Draw:
    """Histograms of each method's scores, kept and dropped apart; the hard end is to the right."""
    return partial(_score_distributions, block, rate, found)


def _class_balance(block: Block, rate: float, look: Theme) -> Figure:
    lines, values = [], []
    for line in block.lines:
        rows = line.rows_at(rate).values()
        if rows:
            counts = np.array([row.class_counts for row in rows], dtype=np.float64)
            lines.append(line.label)
            values.append((counts / counts.mean(axis=1, keepdims=True)).mean(axis=0))
    classes = len(values[0])
    figure, axes = new_figure(2.2 + min(12.0, 0.45 * classes), 1.2 + 0.32 * len(lines))
    names = [str(number) for number in range(classes)]
    bar = {"label": "relative to equal shares"}
    heat(axes, np.array(values), lines, names, ".1f", cmap="cividis", vmin=0, vmax=2, cbar_kws=bar)
    axes.set(xlabel="class")
    entitle(figure, f"{block.name}, {percent(rate)} removed")
    return figure


def _coreset_overlap(block: Block, rate: float, found: Overlap, look: Theme) -> Figure:
    size = len(found.labels)
    values = np.full((size, size), np.nan)
    for (i, j), agreement in found.coresets.items():
        if agreement.mean is not None:
            values[i, j] = values[j, i] = agreement.mean
    figure, axes = new_figure(2.6 + 0.5 * size, 1.8 + 0.42 * size)
    labels = list(found.labels)
    heat(axes, values, labels, labels, ".2f", cmap="cividis", vmin=0, vmax=1, cbar_kws={"label": "Jaccard overlap"})
    entitle(figure, f"{block.name}, {percent(rate)} removed; by chance {found.chance:.2f}")
    axes.tick_params(axis="x", rotation=90)
    return figure


def _score_distributions(block: Block, rate: float, found: Sequence[Scored], look: Theme) -> Figure:
    columns = min(3, len(found))
    lines = -(-len(found) // columns)
    figure, grid = new_figure(2.4 * columns + 0.6, 1.9 * lines + 0.7, nrows=lines, ncols=columns, squeeze=False)
    for axes, one in zip(grid.flat, found, strict=False):
        edges = np.histogram_bin_edges(one.scores, bins=40)
        parts = [one.scores[one.kept], one.scores[~one.kept]]
        axes.hist(parts, bins=edges, stacked=True, color=["#0173b2", "#c9ced4"], label=["kept", "dropped"], linewidth=0)
        axes.set_title(one.row.variant if len(one.row.variant) < 28 else one.row.method, fontsize=8)
        axes.tick_params(labelsize=7)
    for axes in list(grid.flat)[len(found) :]:
        axes.set_visible(False)
    figure.supxlabel("score (easy to hard)", fontsize=8)
    figure.supylabel("images", fontsize=8)
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower right", ncols=2, fontsize=8)
    entitle(figure, f"{block.name}, {percent(rate)} removed")
    return figure
