"""Accuracy against the fraction removed, ours and the papers'; accuracy against cost."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from bench.plots.style import Look, Style, legend_below, looks, name_height, new_figure
from bench.results.accuracy_table import percent
from bench.results.facts import METRIC
from bench.results.rows import Row
from bench.results.stats import Summary, summarize
from bench.results.tables import Block

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def cost(row: Row) -> float:
    """Seconds of a cell by itself: its stages, of which the selection is one, and the training, whoever paid."""
    return sum(stage.seconds for stage in row.stages) + row.train_seconds


def band(summary: Summary) -> tuple[float, float] | None:
    """Return what is drawn around a mean: its 95 % interval; of two seeds both values; of one nothing.

    Student's interval of two values is 18 standard deviations wide, so it would hide all else.
    """
    if summary.std is None or summary.ci_low is None or summary.ci_high is None:
        return None
    if summary.n == 2:
        return summary.mean - summary.std / math.sqrt(2), summary.mean + summary.std / math.sqrt(2)
    return summary.ci_low, summary.ci_high


def _looks(block: Block) -> dict[str, Look]:
    baseline = next((line.label for line in block.lines if line.method == "random"), "random")
    return looks([line.label for line in block.lines], baseline)


def _band_words(block: Block) -> str:
    """Say what ``band`` shows in this block, for under its title; empty where it shows nothing."""
    counts = sorted({one.summary.n for line in block.lines for one in line.measured if one.summary})
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
        known = [(x, one.summary) for x, one in zip(removed, line.measured, strict=True) if one.summary]
        xs = [x for x, _ in known]
        means = [summary.mean for _, summary in known]
        drawing = {"color": own.color, "marker": own.marker, "markersize": 5, "linewidth": 1.4}
        axes.plot(xs, means, dashes=own.dashes or (None, None), label=line.label, **drawing)
        bands = [limits for _, summary in known if (limits := band(summary))]
        if bands and len(bands) == len(known):
            low, high = zip(*bands, strict=True)
            axes.fill_between(xs, low, high, color=own.color, alpha=0.12, linewidth=0)
        reported = [(x, one.reported.accuracy) for x, one in zip(removed, line.measured, strict=True) if one.reported]
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
    if block.full and block.full.measured[0].summary:
        axes.axhline(block.full.measured[0].summary.mean, color="#8a8f96", linewidth=0.8, label="full data")
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
        summary = line.measured[block.rates.index(rate)].summary
        if not summary:
            continue
        seconds = summarize([cost(row) for row in line.rows_at(rate).values()]).mean
        ends = band(summary)
        spread = None if ends is None else [[summary.mean - ends[0]], [ends[1] - summary.mean]]
        own = drawn[line.label]
        axes.errorbar(
            seconds,
            summary.mean,
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
