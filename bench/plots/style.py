"""One look for all figures: fit for a paper, readable in greyscale and by colour-blind readers, equal bytes again."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Theme = Literal["light", "dark"]
THEMES: tuple[Theme, ...] = ("light", "dark")
FORMATS = ("png", "svg", "pdf")
_INK = {"light": "#1b1f24", "dark": "#e6e6e6"}
_GRID = {"light": "#d5d9de", "dark": "#3c424a"}
_MARKERS = "osD^vPX<>p*h"
_DASHES = ((), (4, 1.5), (1, 1), (6, 1.5, 1, 1.5))
# Bytes must not depend on when a figure was drawn. SVG keeps matplotlib's version, on which its bytes do depend.
_METADATA: dict[str, dict[str, Any]] = {
    "png": {"Software": None},
    "svg": {"Date": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}


class Style(NamedTuple):
    """How a figure is drawn.

    Attributes:
        theme: on light or dark paper.
        title: above the figure; None for what it shows, empty for none.
        width: inches; None for what its content asks for. The height goes with it.
        font: size of text in points.
    """

    theme: Theme = "light"
    title: str | None = None
    width: float | None = None
    font: float = 9.0


Draw = Callable[[Style], "Figure"]


class Look(NamedTuple):
    """How one method is drawn, the same in every figure: colour, marker and dashes each tell it apart."""

    color: str
    marker: str
    dashes: tuple[float, ...]


def looks(labels: list[str], baseline: str = "random") -> dict[str, Look]:
    """Give each method a look; ``random``, the baseline, is grey, whatever it is called."""
    import seaborn

    # The eighth colour is grey, which is the baseline's.
    palette = [color for number, color in enumerate(seaborn.color_palette("colorblind").as_hex()) if number != 7]
    others = [label for label in labels if label != baseline]
    drawn = {
        label: Look(
            palette[number % len(palette)],
            _MARKERS[number % len(_MARKERS)],
            _DASHES[number % len(_DASHES)],
        )
        for number, label in enumerate(others)
    }
    return {baseline: Look("#8a8f96", "o", (2, 1.5)), **drawn} if baseline in labels else drawn


@contextmanager
def themed(style: Style) -> Iterator[None]:
    """Draw inside with the project's settings; nothing of the caller's matplotlib is changed."""
    import matplotlib
    import seaborn

    ink, grid = _INK[style.theme], _GRID[style.theme]
    settings: Any = {
        # Or matplotlib would name clip paths at random, and no two files were equal.
        "svg.hashsalt": "coreset-bench",
        "svg.fonttype": "none",
        # TrueType: submission systems refuse the Type 3 fonts that are matplotlib's default.
        "pdf.fonttype": 42,
        "figure.dpi": 150,
        "figure.facecolor": "none",
        "axes.facecolor": "none",
        "savefig.facecolor": "none" if style.theme == "dark" else "white",
        "text.color": ink,
        "axes.labelcolor": ink,
        "axes.edgecolor": grid,
        "xtick.color": ink,
        "ytick.color": ink,
        "grid.color": grid,
        "legend.frameon": False,
    }
    sizes = seaborn.plotting_context("paper", font_scale=style.font / seaborn.plotting_context("paper")["font.size"])
    sizes |= {"figure.titlesize": style.font, "figure.labelsize": style.font}
    with seaborn.axes_style("whitegrid"), matplotlib.rc_context(sizes | settings):
        yield


def new_figure(style: Style, title: str, width: float, height: float, **more: Any) -> tuple[Figure, Any]:
    """Make a figure that belongs to nobody's global state, with its title in as many lines as it takes, and its axes.

    Args:
        style: the user's wishes.
        title: where the user wants no other.
        width: in inches, where the user wants no other.
        height: in inches at that width.
        **more: for ``Figure.subplots``.
    """
    from matplotlib.figure import Figure

    wide = style.width or width
    # No pyplot, which would keep the figure until somebody closes it.
    figure = Figure(figsize=(wide, height * wide / width), layout="constrained")
    shown = title if style.title is None else style.title
    if shown:
        lines = [
            textwrap.fill(line, int(72 * wide / letters(1, style)), break_long_words=False)
            for line in shown.splitlines()
        ]
        figure.suptitle("\n".join(lines))
    return figure, figure.subplots(**more)


def name_height(figure: Figure, axes: Axes, text: str, style: Style) -> None:
    """Name the axis that goes up, in as many lines as its height asks for: matplotlib would cut the name."""
    most = int(72 * 0.7 * figure.get_size_inches()[1] / letters(1, style))
    axes.set_ylabel(textwrap.fill(text, most, break_long_words=False))


def legend_below(figure: Figure, axes: Axes, style: Style) -> None:
    """Put the legend below the axes, which keep their height: the figure grows by the legend's lines."""
    handles, labels = axes.get_legend_handles_labels()
    width, height = figure.get_size_inches()
    entry = letters(max(map(len, labels), default=0), style) + 4 * style.font  # with its line and gaps
    columns = max(1, min(len(labels), int(72 * width / entry)))
    lines = -(-len(labels) // columns)
    figure.set_size_inches(width, height + lines * 1.5 * style.font / 72)
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, columnspacing=1.0)


def save(draw: Draw, kind: str, style: Style | None = None) -> bytes:
    """Encode the figure as a file of one of ``FORMATS``; the same rows give the same bytes."""
    buffer, style = io.BytesIO(), style or Style()
    with themed(style):
        draw(style).savefig(buffer, format=kind, metadata=_METADATA[kind])
    return buffer.getvalue()


def letters(count: int, style: Style) -> float:
    """Points that so many letters take; DejaVu Sans is wide."""
    return 0.57 * style.font * count


def heat(axes: Axes, values: Any, rows: list[str], columns: int, text: str, **more: Any) -> None:
    """Draw a matrix with a number in each field; a field without one stays empty."""
    import seaborn

    # Numbers of more columns would run into each other.
    show = columns <= 24
    seaborn.heatmap(values, ax=axes, yticklabels=rows, annot=show, fmt=text, linewidths=0.5, **more)
    axes.tick_params(axis="x", rotation=0 if show else 90, length=0)
    axes.tick_params(axis="y", rotation=0, length=0)
