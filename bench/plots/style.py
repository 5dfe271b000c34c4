"""The common style of all figures: for papers, readable in greyscale and by colour-blind readers, reproducible."""

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
    """Options of a figure.

    Attributes:
        theme: light or dark background.
        title: title above the figure; None for the default title, empty for none.
        width: width in inches; None for a width that fits the content. The height is scaled with it.
        font: size of text in points.
    """

    theme: Theme = "light"
    title: str | None = None
    width: float | None = None
    font: float = 9.0


Draw = Callable[[Style], "Figure"]


class Look(NamedTuple):
    """Colour, marker and dashes of a method, the same in every figure; each of them identifies it."""

    color: str
    marker: str
    dashes: tuple[float, ...]


def looks(labels: list[str], baseline: str = "random") -> dict[str, Look]:
    """Return the look of each method; the baseline is grey."""
    import seaborn

    # Without the eighth colour, the baseline's grey.
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
    """Use the project's settings of matplotlib inside the block; restore the caller's after it."""
    import matplotlib
    import seaborn

    ink, grid = _INK[style.theme], _GRID[style.theme]
    settings: Any = {
        # Otherwise matplotlib names clip paths at random, and files differ.
        "svg.hashsalt": "coreset-bench",
        "svg.fonttype": "none",
        # TrueType: submission systems refuse Type 3 fonts, matplotlib's default.
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
    """Return a new figure with a wrapped title, and its axes.

    Args:
        style: the user's options.
        title: default title.
        width: default width in inches.
        height: height in inches at the default width.
        **more: arguments of ``Figure.subplots``.
    """
    from matplotlib.figure import Figure

    wide = style.width or width
    # Not pyplot, which would keep the figure until it is closed.
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
    """Set the name of the y axis, wrapped to its height; matplotlib would cut a long name."""
    most = int(72 * 0.7 * figure.get_size_inches()[1] / letters(1, style))
    axes.set_ylabel(textwrap.fill(text, most, break_long_words=False))


def legend_below(figure: Figure, axes: Axes, style: Style) -> None:
    """Add a legend below the axes; the figure grows, so that the axes keep their height."""
    handles, labels = axes.get_legend_handles_labels()
    width, height = figure.get_size_inches()
    entry = letters(max(map(len, labels), default=0), style) + 4 * style.font  # with its line and gaps
    columns = max(1, min(len(labels), int(72 * width / entry)))
    lines = -(-len(labels) // columns)
    figure.set_size_inches(width, height + lines * 1.5 * style.font / 72)
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, columnspacing=1.0)


def save(draw: Draw, kind: str, style: Style | None = None) -> bytes:
    """Return the figure as a file in one of ``FORMATS``; the same rows give the same bytes."""
    buffer, style = io.BytesIO(), style or Style()
    with themed(style):
        draw(style).savefig(buffer, format=kind, metadata=_METADATA[kind])
    return buffer.getvalue()


def letters(count: int, style: Style) -> float:
    """Return the approximate width in points of a number of letters in DejaVu Sans."""
    return 0.57 * style.font * count


def heat(axes: Axes, values: Any, rows: list[str], columns: int, text: str, **more: Any) -> None:
    """Draw a matrix with a number in each field; fields with NaN stay empty."""
    import seaborn

    # With more columns, numbers would overlap.
    show = columns <= 24
    seaborn.heatmap(values, ax=axes, yticklabels=rows, annot=show, fmt=text, linewidths=0.5, **more)
    axes.tick_params(axis="x", rotation=0 if show else 90, length=0)
    axes.tick_params(axis="y", rotation=0, length=0)
