"""The HTML page of a choice: its pictures, a map of what they cover, and what was left out; needs no network."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from functools import cache
from importlib.resources import files as resources
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.images.folders import Skipped
from bench.knn import unit_rows
from bench.labelling.rows import Rows

if TYPE_CHECKING:
    from jinja2 import Template
    from PIL.Image import Image

PICTURES = 500
"""The most pictures of a choice; a page with more would be too heavy to open."""
_POINTS = 3_000
"""The most items on the map other than chosen and labelled ones."""
_LISTED = 1_000
"""The most names of items that were left out, for each reason."""
_WIDTH, _HEIGHT, _EDGE = 800, 500, 12


class Map(NamedTuple):
    """Positions of items on the map, in pixels; chosen ones in the order to label."""

    chosen: list[list[int]]
    labelled: list[list[int]]
    others: list[list[int]]


def choice_page(
    summary: str,
    warnings: Sequence[str],
    entries: Sequence[dict[str, Any]],
    pictures: Sequence[Image | None],
    drawing: Map,
    left_out: Sequence[tuple[str, Sequence[str]]],
    skipped: Sequence[Skipped],
) -> str:
    """Return the page as HTML.

    Args:
        summary: a sentence or two about the choice.
        warnings: signs that the choice is not varied.
        entries: the records of the choice, in order: ``order``, ``file`` or ``item``, ``cluster``, ``score``.
        pictures: from ``thumbnails``, of the first entries or of none; a missing one is shown as such.
        drawing: the map from ``map_of``.
        left_out: heading and names for each reason, such as near-duplicates.
        skipped: files that could not be used.
    """
    return _template().render(
        style=_part("page.css"),
        script=_part("page.js"),
        summary=summary,
        warnings=warnings,
        size=(_WIDTH, _HEIGHT),
        map=drawing,
        entries=entries,
        name=lambda entry: entry.get("file", entry.get("item")),
        pictures=["" if picture is None else _data_uri(picture) for picture in pictures],
        left_out=[*left_out, ("Files skipped", [f"{item.name}: {item.reason}" for item in skipped])],
        listed=_LISTED,
    )


def map_of(embeddings: Rows, chosen: NDArray[np.int64], labelled: NDArray[np.int64]) -> Map:
    """Return a map of the items on their two principal axes: chosen and labelled ones, and at most 3,000 others.

    Args:
        embeddings: float32 [N, D].
        chosen: int64 [n], in the order to label.
        labelled: int64.
    """
    # A fixed seed: the same choice gives the same page.
    rng = np.random.default_rng(0)
    others = np.setdiff1d(np.arange(len(embeddings)), np.union1d(chosen, labelled))
    if len(others) > _POINTS:
        others = np.sort(rng.choice(others, _POINTS, replace=False))
    parts = [chosen, labelled, others]
    points = _scaled(_main_axes(unit_rows(embeddings[np.concatenate(parts)]))).round().astype(int)
    return Map(*(part.tolist() for part in np.split(points, np.cumsum([len(chosen), len(labelled)]))))


def _main_axes(rows: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the coordinates [M, 2] on the two axes of largest variance."""
    centred = rows - rows.mean(0)
    if centred.shape[1] < 2:
        centred = np.pad(centred, ((0, 0), (0, 1)))
    # From the D x D matrix, which does not grow with the number of rows. ``eigh`` returns the largest last.
    axes = np.linalg.eigh(centred.T.astype(np.float64) @ centred)[1][:, :-3:-1]
    return np.asarray(centred @ axes, dtype=np.float64)


def _scaled(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the points moved and scaled into the map."""
    low, high = points.min(0), points.max(0)
    # Points on one line have no height to divide by.
    inside = (points - low) / np.where(high > low, high - low, 1)
    return _EDGE + inside * (np.array([_WIDTH, _HEIGHT]) - 2 * _EDGE)


def _data_uri(picture: Image) -> str:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=80)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"


@cache
def _template() -> Template:
    """Return the page's template, cached, since compiling it takes longer than filling it."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(_part("page.html"))


def _part(name: str) -> str:
    return resources("bench.labelling").joinpath(name).read_text(encoding="utf-8")
