"""A page that shows the choice: pictures, what they cover, and what was left out; it needs no network."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Sequence
from contextlib import suppress
from html import escape
from importlib.resources import files as resources
from typing import Any

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


def choice_page(
    summary: str,
    warnings: Sequence[str],
    entries: Sequence[dict[str, Any]],
    pictures: ImageFiles | None,
    drawing: str,
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
    cards = [_card(number, entry, pictures) for number, entry in enumerate(entries)]
    lists = [(title, [escape(name) for name in names]) for title, names in left_out]
    reasons = [f"{escape(item.name)}: {escape(item.reason)}" for item in skipped]
    values = {
        "style": _part("page.css"),
        "script": _part("page.js"),
        "summary": escape(summary),
        "warnings": "".join(f'<p class="warning" role="alert">Warning: {escape(text)}</p>' for text in warnings),
        "map": drawing,
        "choice": "\n".join(cards),
        "left_out": "\n".join(_details(*item) for item in (*lists, ("Files skipped", reasons)) if item[1]),
    }
    text = _part("page.html")
    for name, value in values.items():
        text = text.replace(f"<!--{name}-->", value, 1)
    return text


def map_of(embeddings: Rows, chosen: NDArray[np.int64], labelled: NDArray[np.int64], names: Sequence[str]) -> str:
    """Draw the items on their two main axes as SVG: chosen and labelled ones, and at most 3,000 of the others.

    Args:
        embeddings: float32 [N, D].
        chosen: int64 [n], in the order to label.
        labelled: int64.
        names: of all items.
    """
    # Fixed: the same choice gives the same page.
    rng = np.random.default_rng(0)
    others = np.setdiff1d(np.arange(len(embeddings)), np.union1d(chosen, labelled))
    if len(others) > _POINTS:
        others = np.sort(rng.choice(others, _POINTS, replace=False))
    drawn = np.concatenate([others, labelled, chosen])
    points = _scaled(_main_axes(unit_rows(embeddings[drawn])))
    dots = [
        f'<circle class="{kind}" cx="{x:.0f}" cy="{y:.0f}" r="{radius}"/>'
        for kind, radius, part in (
            ("other", 3, points[: len(others)]),
            ("known", 5, points[len(others) : len(others) + len(labelled)]),
        )
        for x, y in part
    ]
    for number, ((x, y), position) in enumerate(zip(points[len(drawn) - len(chosen) :], chosen, strict=True), 1):
        title = f"<title>{number}: {escape(names[position])}</title>"
        dot = f'<circle class="chosen" cx="{x:.0f}" cy="{y:.0f}" r="6">{title}</circle>'
        dots.append(f'<a href="#item-{number}" aria-label="{number}">{dot}</a>')
    known = f", {len(labelled):,} labelled (blue)" if len(labelled) else ""
    told = (
        f"{len(chosen):,} chosen (red){known}, {len(others):,} others (grey), on the embeddings' two main axes (PCA)."
    )
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="group" aria-label="Map of the items">{"".join(dots)}</svg>'
        f"<p>{told} A red point leads to its item.</p>"
    )


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


def _card(number: int, entry: dict[str, Any], pictures: ImageFiles | None) -> str:
    name = str(entry.get("file", entry.get("item")))
    facts = [f"{key} {entry[key]:.4g}" for key in ("cluster", "score") if entry.get(key) is not None]
    return (
        f'<li id="item-{number + 1}" tabindex="{0 if number == 0 else -1}">{_picture(number, pictures)}'
        f'<b>{number + 1}</b><bdi>{escape(name)}</bdi><div class="facts">{", ".join(facts)}</div></li>'
    )


def _picture(number: int, pictures: ImageFiles | None) -> str:
    if pictures is None or number >= PICTURES:
        return ""
    with suppress(DataError, MemoryError):  # moved since it was embedded
        buffer = io.BytesIO()
        thumbnail(pictures.locate(number)).save(buffer, "JPEG", quality=80)
        content = base64.b64encode(buffer.getvalue()).decode()
        return f'<img alt="" loading="lazy" src="data:image/jpeg;base64,{content}">'
    return "<p>(no picture)</p>"


def _details(title: str, lines: Iterable[str]) -> str:
    """Write a list that opens on a click; ``lines`` are HTML."""
    lines = list(lines)
    shown = "".join(f"<li><bdi>{line}</bdi></li>" for line in lines[:_LISTED])
    rest = f"<p>and {len(lines) - _LISTED:,} more</p>" if len(lines) > _LISTED else ""
    return f"<details><summary>{escape(title)}: {len(lines):,}</summary><ul>{shown}</ul>{rest}</details>"


def _part(name: str) -> str:
    return resources("bench.labelling").joinpath(name).read_text(encoding="utf-8")
