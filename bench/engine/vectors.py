"""Data sets of vectors: whether a grid asks them for pictures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from bench.errors import SpecError
from bench.parts import IMAGES
from bench.plugins import models
from bench.refs import INDICES
from bench.stages.memory import Shape
from bench.stages.training import Cell

GIVEN = "given"
"""The encoder that takes vectors as they are."""


def refuse_pictures(cells: Iterable[Cell], shapes: Mapping[str, Shape]) -> None:
    """Refuse cells that need images where the data set has vectors, and ``given`` where it has images.

    Args:
        cells: of the grid.
        shapes: data set's label -> its size.

    Raises:
        SpecError: names the first such cell's part, and what to take in its place.
    """
    for cell in cells:
        shape = shapes.get(cell.dataset.label)
        if shape is None:
            continue
        vectors = len(shape.image) == 1
        name, encoder = cell.dataset.label, cell.encoder
        if encoder is not None and (encoder.name == GIVEN) != vectors:
            holds = f"vectors; take {GIVEN}" if vectors else "images; take another"
            raise SpecError(f"encoder {encoder.label} does not suit {name}, which holds {holds}.")
        if not vectors:
            continue
        trained = [cell.model, *([cell.proxy.model] if cell.proxy else [])]
        pictured = [model.label for model in trained if models.get(model.name).info.inputs == "images"]
        if pictured:
            valid = ", ".join(entry.name for entry in models if entry.info.inputs == "embeddings")
            raise SpecError(f"model {pictured[0]} takes images, and {name} holds vectors; valid: {valid}.")
        if cell.method != INDICES and any(item.part == IMAGES.name for item in cell.selection().needs()):
            raise SpecError(f"method {cell.variant} reads images, and {name} holds vectors; leave it out.")
