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
Draw = Callable[[Theme], "Figure"]
FORMATS = ("png", "svg", "pdf")
_INK = {"light": "#1b1f24", "dark": "#e6e6e6"}
_GRID = {"light": "#d5d9de", "dark": "#3c424a"}
_LETTERS_PER_INCH = 15
"""Of a title in its size, on average."""
_MARKERS = "osD^vPX<>p*h"
_DASHES = ((), (4, 1.5), (1, 1), (6, 1.5, 1, 1.5))
# Bytes must not depend on when a figure was drawn. SVG keeps matplotlib's version, on which its bytes do depend.
_METADATA: dict[str, dict[str, Any]] = {
    "png": {"Software": None},
    "svg": {"Date": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}


class Look(NamedTuple):
    """How one method is drawn, the same in every figure: colour, marker and dashes each tell it apart."""

    color: str
    marker: str
    dashes: tuple[float, ...]


def looks(labels: list[str]) -> dict[str, Look]:
    """A look for each method; ``random``, the baseline, is grey."""
    import seaborn

    palette = [color for number, color in enumerate(seaborn.color_palette("colorblind").as_hex()) if number != 7]
    others = [label for label in labels if label != "random"]
    found = {
        label: Look(
            palette[number % len(palette)],
            _MARKERS[number % len(_MARKERS)],
            _DASHES[number % len(_DASHES)],
        )
        for number, label in enumerate(others)
    }
    return {"random": Look("#8a8f96", "o", (2, 1.5)), **found} if "random" in labels else found


@contextmanager
def theme(name: Theme) -> Iterator[None]:
    """Draw inside with the project's settings; nothing of the caller's matplotlib is changed."""
    import matplotlib
    import seaborn

    ink, grid = _INK[name], _GRID[name]
    settings: Any = {
        "svg.hashsalt": "coreset-bench",
        "svg.fonttype": "none",
        "pdf.fonttype": 42,
        "figure.dpi": 150,
        "figure.facecolor": "none",
        "axes.facecolor": "none",
        "savefig.facecolor": "none" if name == "dark" else "white",
        "text.color": ink,
        "axes.labelcolor": ink,
        "axes.edgecolor": grid,
        "xtick.color": ink,
        "ytick.color": ink,
        "grid.color": grid,
        "legend.frameon": False,
    }
    with seaborn.axes_style("whitegrid"), seaborn.plotting_context("paper"), matplotlib.rc_context(settings):
        yield


def new_figure(width: float, height: float, **more: Any) -> tuple[Figure, Any]:
    """A figure that belongs to nobody's global state, in inches, and its axes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(**more)


def entitle(figure: Figure, text: str) -> None:
    """Put a title above the figure, in as many lines as its width asks for."""
    width = int(figure.get_figwidth() * _LETTERS_PER_INCH)
    figure.suptitle(textwrap.fill(text, width, break_long_words=False), fontsize=9)


def save(draw: Draw, kind: str, *, look: Theme = "light") -> bytes:
    """The figure as a file of one of ``FORMATS``; the same rows give the same bytes."""
    buffer = io.BytesIO()
    with theme(look):
        draw(look).savefig(buffer, format=kind, metadata=_METADATA[kind])
    return buffer.getvalue()


def heat(axes: Axes, values: Any, rows: list[str], columns: list[str], text: str, **more: Any) -> None:
    """A matrix with a number in each field; a field without one stays empty."""
    import seaborn

    show = len(columns) <= 24
    seaborn.heatmap(
        values, ax=axes, xticklabels=columns, yticklabels=rows, annot=show, fmt=text, linewidths=0.5, **more
    )
    axes.tick_params(axis="x", rotation=90 if max(map(len, columns)) > 3 else 0, length=0)
    axes.tick_params(axis="y", rotation=0, length=0)
