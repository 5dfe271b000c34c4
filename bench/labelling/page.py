"""A page that shows the choice: pictures, what they cover, and what was left out; it needs no network."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from contextlib import suppress
from importlib.resources import files as resources
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.errors import DataError
from bench.images.folders import ImageFiles, Skipped
from bench.knn import unit_rows
from bench.labelling.contact_sheet import thumbnail
from bench.labelling.rows import Rows

PICTURES = 500
"""Pictures of the choice; with more of them a page would be too heavy to open."""
_POINTS = 3_000
"""Items that are drawn besides those chosen and labelled."""
_LISTED = 1_000
"""Names of each kind that was left out."""
_WIDTH, _HEIGHT, _EDGE = 800, 500, 12


class Map(NamedTuple):
    """Where items lie in the drawing, in its pixels; those chosen in the order to label."""

    chosen: list[list[int]]
    labelled: list[list[int]]
    others: list[list[int]]


def choice_page(
    summary: str,
    warnings: Sequence[str],
    entries: Sequence[dict[str, Any]],
    pictures: ImageFiles | None,
    drawing: Map,
    left_out: Sequence[tuple[str, Sequence[str]]],
    skipped: Sequence[Skipped],
) -> str:
    """Return the page as HTML.

    Args:
        summary: one sentence.
        warnings: signs that the choice is not varied.
        entries: the records of the choice, in order: ``order``, ``file`` or ``item``, ``cluster``, ``score``.
        pictures: of the entries; None where items have none.
        drawing: from ``map_of``.
        left_out: heading and names, of near-duplicates and the like.
        skipped: files that could not be used.
    """
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(_part("page.html")).render(
        style=_part("page.css"),
        script=_part("page.js"),
        summary=summary,
        warnings=warnings,
        size=(_WIDTH, _HEIGHT),
        map=drawing,
        entries=entries,
        name=lambda entry: entry.get("file", entry.get("item")),
        pictures=[]
        if pictures is None
        else [_picture(pictures.locate(number)) for number in range(min(PICTURES, len(pictures)))],
        left_out=[*left_out, ("Files skipped", [f"{item.name}: {item.reason}" for item in skipped])],
        listed=_LISTED,
    )


def map_of(embeddings: Rows, chosen: NDArray[np.int64], labelled: NDArray[np.int64]) -> Map:
    """Place the items on their two main axes: chosen and labelled ones, and at most 3,000 of the others.

    Args:
        embeddings: float32 [N, D].
        chosen: int64 [n], in the order to label.
        labelled: int64.
    """
    # Fixed: the same choice gives the same page.
    rng = np.random.default_rng(0)
    others = np.setdiff1d(np.arange(len(embeddings)), np.union1d(chosen, labelled))
    if len(others) > _POINTS:
        others = np.sort(rng.choice(others, _POINTS, replace=False))
    parts = [chosen, labelled, others]
    points = _scaled(_main_axes(unit_rows(embeddings[np.concatenate(parts)]))).round().astype(int)
    return Map(*(part.tolist() for part in np.split(points, np.cumsum([len(chosen), len(labelled)]))))


def _main_axes(rows: NDArray[np.float32]) -> NDArray[np.float64]:
    """Coordinates [M, 2] on the two axes of largest variance."""
    centred = rows - rows.mean(0)
    if centred.shape[1] < 2:
        centred = np.pad(centred, ((0, 0), (0, 1)))
    # Of D x D and not of the rows: it does not grow with their number. ``eigh`` gives the largest last.
    axes = np.linalg.eigh(centred.T.astype(np.float64) @ centred)[1][:, :-3:-1]
    return np.asarray(centred @ axes, dtype=np.float64)


def _scaled(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Move and scale the points into the picture."""
    low, high = points.min(0), points.max(0)
    # Points that all lie on one line have no height to divide by.
    inside = (points - low) / np.where(high > low, high - low, 1)
    return _EDGE + inside * (np.array([_WIDTH, _HEIGHT]) - 2 * _EDGE)


def _picture(path: Path) -> str:
    """Return the small picture as a URI; empty where it has moved since it was embedded."""
    with suppress(DataError, MemoryError):
        buffer = io.BytesIO()
        thumbnail(path).save(buffer, "JPEG", quality=80)
        return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"
    return ""


def _part(name: str) -> str:
    return resources("bench.labelling").joinpath(name).read_text(encoding="utf-8")
