"""Contact sheets of the images that a method kept and dropped."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.data import Dataset, fingerprint
from bench.errors import BenchError
from bench.grammar import parse_call
from bench.loading import load_dataset
from bench.report.page import Gallery
from bench.results.block import Block
from bench.results.comparison import ScoredCoreset, scored_coresets
from bench.results.published import pool_positions

SHOWN = 16
"""Number of pictures per contact sheet."""
_SIDE, _PER_LINE = 48, 8


def galleries(blocks: Sequence[Block], folders: Sequence[Path], root: Path | None) -> tuple[list[Gallery], list[str]]:
    """Return contact sheets for the first seed of every method that has scores and a coreset.

    Args:
        blocks: blocks from ``bench.results.tables.blocks``.
        folders: folders of the rows.
        root: folder of the data sets.

    Returns:
        The contact sheets, and for each data set without any a sentence with the reason.
    """
    sheets: list[Gallery] = []
    opened: dict[str, Dataset] = {}
    missing: dict[str, str] = {}
    for number, block in enumerate(blocks):
        for rate in block.rates:
            with_scores = scored_coresets(block, rate, folders)
            if with_scores and block.dataset not in (*opened, *missing):
                try:
                    opened[block.dataset] = _open(with_scores[0].row, root)
                except BenchError as error:
                    missing[block.dataset] = f"No pictures of {block.dataset}: {error}"
            if block.dataset in opened:
                for entry in with_scores:
                    pictures = _pictures(entry, opened[block.dataset])
                    sheets.append(Gallery(number, rate, f"{entry.label}, seed {entry.row.seed}", pictures))
    return sheets, list(missing.values())


def extremes(scores: NDArray[np.floating], kept: NDArray[np.bool_], count: int = SHOWN) -> dict[str, NDArray[np.int64]]:
    """Return the positions of the hardest images kept, the hardest dropped, and the easiest dropped.

    Args:
        scores: [N], high = hard.
        kept: bool [N].
        count: largest number of each.

    Returns:
        ``hardest kept``, ``hardest dropped`` and ``easiest dropped``, each int64, most extreme first.
    """
    # Stable, so that the same rows give the same page even if scores tie.
    order = np.argsort(-scores, kind="stable")
    inside, outside = order[kept[order]], order[~kept[order]]
    return {
        "hardest kept": inside[:count],
        "hardest dropped": outside[:count],
        "easiest dropped": outside[::-1][:count],
    }


def tile(images: NDArray[np.uint8]) -> bytes:
    """Return a PNG of images uint8 [n, C, H, W] side by side; small ones are enlarged without smoothing."""
    from PIL import Image

    columns = min(_PER_LINE, len(images))
    lines = math.ceil(len(images) / columns)
    sheet = Image.new("RGB", (columns * (_SIDE + 2), lines * (_SIDE + 2)), "white")
    for number, image in enumerate(images):
        # Grey images have one channel, and the sheet is RGB.
        pixels = np.broadcast_to(image, (3, *image.shape[1:])).transpose(1, 2, 0)
        picture = Image.fromarray(np.ascontiguousarray(pixels))
        kind = Image.Resampling.NEAREST if max(picture.size) < _SIDE else Image.Resampling.LANCZOS
        corner = (number % columns * (_SIDE + 2), number // columns * (_SIDE + 2))
        sheet.paste(picture.resize((_SIDE, _SIDE), kind), corner)
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _open(row: Any, root: Path | None) -> Dataset:
    call = parse_call(row.dataset)
    pool_size, pool_seed = call.params.pop("pool_size", None), call.params.pop("pool_seed", 0)
    dataset = load_dataset(
        call.name,
        call.params,
        root=root,
        download=False,
        pool_size=pool_size,
        pool_seed=pool_seed,
        modifiers=call.modifiers,
    )
    # Other images would look just as convincing.
    if fingerprint(dataset) != row.fingerprint:
        raise BenchError("the data set on this machine is not the one of the rows.")
    return dataset


def _pictures(entry: ScoredCoreset, dataset: Dataset) -> tuple[tuple[str, bytes], ...]:
    if len(dataset.train.images.shape) != 4:
        return ()  # vectors have no picture
    kept = np.isin(np.arange(len(entry.scores)), pool_positions(entry.coreset, dataset))
    positions_by_title = extremes(entry.scores, kept)
    return tuple(
        (title, tile(dataset.train.images[positions]))
        for title, positions in positions_by_title.items()
        if len(positions)
    )
