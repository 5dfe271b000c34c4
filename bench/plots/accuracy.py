"""Accuracy against the fraction removed, ours and the papers'; accuracy against cost."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from bench.plots.style import Look, Style, legend_below, looks, name_height, new_figure
from bench.results.accuracy_table import percent
from bench.results.block import FULL, Block
from bench.results.facts import METRIC
from bench.results.stats import summarize

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def band(one: Any) -> tuple[float, float] | None:
    """Return what is drawn around a mean: its 95 % interval; of two seeds both values; of one nothing.

    Student's interval of two values is 18 standard deviations wide, so it would hide all else.

    Args:
        one: a line of ``Block.means``.
    """
    if one.n < 2:
        return None
    if one.n == 2:
        return one.mean - one.std / math.sqrt(2), one.mean + one.std / math.sqrt(2)
    return one.ci_low, one.ci_high


def _looks(block: Block) -> dict[str, Look]:
    baseline = next((line.label for line in block.lines if line.method == "random"), "random")
    return looks([line.label for line in block.lines], baseline)


def _band_words(block: Block) -> str:
    """Say what ``band`` shows in this block, for under its title; empty where it shows nothing."""
    counts = sorted({*block.means.loc[block.means["method"] != FULL, "n"]} - {0})
    if not counts or counts[-1] < 2:
        return "one seed"
    if counts[-1] == 2:
        return "both of n = 2 seeds" if counts[0] == 2 else "both of n = 2 seeds, none at n = 1"
    words = f"95 % interval of the mean, n = {' to '.join(map(str, dict.fromkeys((counts[0], counts[-1]))))} seeds"
    return words + (" (both values where n = 2)" if 2 in counts else "")


def against_rate(block: Block, style: Style) -> Figure:
    """Mean test accuracy over seeds with its ``band``; the papers' numbers dotted, where the block has any."""
    figure, axes = new_figure(style, f"{block.name}\nbands: {_band_words(block)}", 5.2, 3.4)
    drawn = _looks(block)
    removed = [100 * rate for rate in block.rates]
    for line in block.lines:
        own = drawn[line.label]
        means = [one for one in block.means_of(line) if one.n]
        xs = [100 * one.rate for one in means]
        drawing = {"color": own.color, "marker": own.marker, "markersize": 5, "linewidth": 1.4}
        axes.plot(xs, [one.mean for one in means], dashes=own.dashes or (None, None), label=line.label, **drawing)
        bands = [limits for one in means if (limits := band(one))]
        if bands and len(bands) == len(means):
            low, high = zip(*bands, strict=True)
            axes.fill_between(xs, low, high, color=own.color, alpha=0.12, linewidth=0)
        reported = [(100 * one.rate, one.reported) for one in means if one.paper]
        if reported:
            axes.plot(
                *zip(*reported, strict=True),
                color=own.color,
                linestyle=":",
                linewidth=1,
                marker=own.marker,
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
    """Mean test accuracy against the mean seconds that one cell costs by itself, at one rate."""
    from matplotlib.ticker import LogLocator, NullLocator

    title = f"{block.name}, {percent(rate)} removed\nbars: {_band_words(block)}"
    figure, axes = new_figure(style, title, 5.2, 3.4)
    drawn = _looks(block)
    for line in block.lines:
        [one] = [one for one in block.means_of(line) if one.rate == rate]
        if not one.n:
            continue
        cells, ends = block.cells_of(line, rate), band(one)
        # By itself: its stages, of which the selection is one, and the training, whoever computed them.
        seconds = summarize((cells["stage_seconds"] + cells["train_seconds"]).tolist()).mean
        spread = None if ends is None else [[one.mean - ends[0]], [ends[1] - one.mean]]
        own = drawn[line.label]
        axes.errorbar(
            seconds,
            one.mean,
            yerr=spread,
            color=own.color,
            marker=own.marker,
            markersize=6,
            linestyle="none",
            elinewidth=0.8,
            capsize=2,
            label=line.label,
        )
    axes.set(xscale="log", xlabel="wall-clock seconds of one cell:\nall its stages and its training")
    name_height(figure, axes, f"{METRIC[block.metric]} (%)", style)
    # Plain seconds: a cell takes seconds to hours, and powers of ten hide which.
    low, high = axes.get_xlim()
    subs = (1, 1.5, 2, 3, 4, 6, 8) if high < 10 * low else (1, 2, 5) if high < 300 * low else (1,)
    axes.xaxis.set_major_locator(LogLocator(subs=subs))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter("{x:g}")
    legend_below(figure, axes, style)
    return figure
