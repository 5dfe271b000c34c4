"""Figures of accuracy against the fraction removed, with the papers' numbers, and against cost."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from bench.plots.style import Look, Style, legend_below, looks, name_height, new_figure
from bench.results.block import FULL, Block
from bench.results.metric import METRIC
from bench.results.stats import summarize
from bench.units import percent

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def band(mean: Any) -> tuple[float, float] | None:
    """Return the band around a mean: its 95 % interval, or both values of two seeds; None for one seed.

    Student's interval of two values is 18 standard deviations wide and would hide everything else.

    Args:
        mean: a line of ``Block.means``.
    """
    if mean.n < 2:
        return None
    if mean.n == 2:
        return mean.mean - mean.std / math.sqrt(2), mean.mean + mean.std / math.sqrt(2)
    return mean.ci_low, mean.ci_high


def _looks(block: Block) -> dict[str, Look]:
    baseline = next((line.label for line in block.lines if line.method == "random"), "random")
    return looks([line.label for line in block.lines], baseline)


def _band_words(block: Block) -> str:
    """Return what the bands of a block show, for the line below its title."""
    counts = sorted({*block.means.loc[block.means["method"] != FULL, "n"]} - {0})
    if not counts or counts[-1] < 2:
        return "one seed"
    if counts[-1] == 2:
        return "both of n = 2 seeds" if counts[0] == 2 else "both of n = 2 seeds, none at n = 1"
    words = f"95 % interval of the mean, n = {' to '.join(map(str, dict.fromkeys((counts[0], counts[-1]))))} seeds"
    return words + (" (both values where n = 2)" if 2 in counts else "")


def against_rate(block: Block, style: Style) -> Figure:
    """Return a figure of mean test accuracies with their bands, and of the papers' numbers as dotted lines."""
    figure, axes = new_figure(style, f"{block.name}\nbands: {_band_words(block)}", 5.2, 3.4)
    drawn = _looks(block)
    removed = [100 * rate for rate in block.rates]
    for line in block.lines:
        look = drawn[line.label]
        means = [mean for mean in block.means_of(line) if mean.n]
        xs = [100 * mean.rate for mean in means]
        drawing = {"color": look.color, "marker": look.marker, "markersize": 5, "linewidth": 1.4}
        axes.plot(xs, [mean.mean for mean in means], dashes=look.dashes or (None, None), label=line.label, **drawing)
        bands = [limits for mean in means if (limits := band(mean))]
        if bands and len(bands) == len(means):
            low, high = zip(*bands, strict=True)
            axes.fill_between(xs, low, high, color=look.color, alpha=0.12, linewidth=0)
        reported = [(100 * mean.rate, mean.reported) for mean in means if mean.paper]
        if reported:
            axes.plot(
                *zip(*reported, strict=True),
                color=look.color,
                linestyle=":",
                linewidth=1,
                marker=look.marker,
                markersize=5,
                markerfacecolor="none",
                label=f"{line.label}, reported",
            )
    if block.full:
        axes.axhline(block.means_of(block.full)[0].mean, color="#8a8f96", linewidth=0.8, label="full data")
    axes.set(xlabel="removed (%)", xticks=removed)
    name_height(figure, axes, f"{METRIC[block.metric]} (%)", style)
    legend_below(figure, axes, style)
    return figure


def against_cost(block: Block, rate: float, style: Style) -> Figure:
    """Return a figure of mean test accuracy against the mean seconds of one cell, at one rate."""
    from matplotlib.ticker import LogLocator, NullLocator

    title = f"{block.name}, {percent(rate)} removed\nbars: {_band_words(block)}"
    figure, axes = new_figure(style, title, 5.2, 3.4)
    drawn = _looks(block)
    for line in block.lines:
        [mean] = [mean for mean in block.means_of(line) if mean.rate == rate]
        if not mean.n:
            continue
        cells, limits = block.cells_of(line, rate), band(mean)
        # The cell's stages, including the selection, and its training, whichever run computed them.
        seconds = summarize((cells["stage_seconds"] + cells["train_seconds"]).tolist()).mean
        spread = None if limits is None else [[mean.mean - limits[0]], [limits[1] - mean.mean]]
        look = drawn[line.label]
        axes.errorbar(
            seconds,
            mean.mean,
            yerr=spread,
            color=look.color,
            marker=look.marker,
            markersize=6,
            linestyle="none",
            elinewidth=0.8,
            capsize=2,
            label=line.label,
        )
    axes.set(xscale="log", xlabel="wall-clock seconds of one cell:\nall its stages and its training")
    name_height(figure, axes, f"{METRIC[block.metric]} (%)", style)
    # Plain numbers of seconds: with powers of ten, seconds and hours look alike.
    low, high = axes.get_xlim()
    subs = (1, 1.5, 2, 3, 4, 6, 8) if high < 10 * low else (1, 2, 5) if high < 300 * low else (1,)
    axes.xaxis.set_major_locator(LogLocator(subs=subs))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter("{x:g}")
    legend_below(figure, axes, style)
    return figure
