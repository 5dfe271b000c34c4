"""Checks that the data sets of a grid suit its encoders, networks and methods."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from bench.errors import BenchError, SpecError
from bench.identity import INDICES, ModelRef
from bench.parts import IMAGES
from bench.plugins import models
from bench.recipe import check_padding
from bench.stages.memory import Shape
from bench.stages.training import Cell

GIVEN = "given"
"""The encoder that passes vectors through unchanged."""


def refuse_unsuitable(cells: Iterable[Cell], shapes: Mapping[str, Shape]) -> None:
    """Refuse cells that need images if the data set holds vectors, and what does not suit its images.

    Images do not suit the encoder ``given``, nor a recipe that pads them by more than reflection can fill. Embeddings
    have no mirror image.

    Args:
        cells: cells of the grid.
        shapes: data set's label -> its size.

    Raises:
        SpecError: a cell does not suit its data set; the message names what to take instead.
    """
    for cell in cells:
        if cell.recipe.test_flip and models.get(cell.model.name).info.inputs != "images":
            raise SpecError(
                f"test_flip=true is for models that read images; {cell.model.label} reads embeddings, which have no "
                "mirror image; give it a grid of its own."
            )
        shape = shapes.get(cell.dataset.label)
        if shape is None:
            continue
        vectors = len(shape.image) == 1
        name, encoder = cell.dataset.label, cell.encoder
        if encoder is not None and (encoder.name == GIVEN) != vectors:
            holds = f"vectors; take {GIVEN}" if vectors else "images; take another"
            raise SpecError(f"encoder {encoder.label} does not suit {name}, which holds {holds}.")
        trained = [cell.model, *([cell.proxy.model] if cell.proxy else [])]
        if not vectors:
            recipes = [cell.recipe, *([cell.proxy.recipe] if cell.proxy else [])]
            for model, recipe in zip(trained, recipes, strict=True):
                cropped = recipe.augmentation.startswith("crop")
                if cropped and models.get(model.name).info.inputs == "images":
                    check_padding(recipe.crop_padding, *shape.image[1:])
            continue
        reading_images = [model.label for model in trained if models.get(model.name).info.inputs == "images"]
        if reading_images:
            valid = ", ".join(entry.name for entry in models if entry.info.inputs == "embeddings")
            raise SpecError(f"model {reading_images[0]} takes images, and {name} holds vectors; valid: {valid}.")
        if cell.method != INDICES and any(item.part == IMAGES.name for item in cell.selection().needs()):
            raise SpecError(f"method {cell.variant} reads images, and {name} holds vectors; leave it out.")


def taken_images(cells: Iterable[Cell], shapes: Mapping[str, Shape]) -> Iterator[tuple[ModelRef, tuple[int, ...], int]]:
    """Yield each network from another library once, with the shape of an image (C, H, W) and the number of classes.

    Args:
        cells: cells of the grid.
        shapes: data set's label -> its size.
    """
    seen = set()
    for cell in cells:
        shape = shapes.get(cell.dataset.label)
        for model in [cell.model, *([cell.proxy.model] if cell.proxy else [])]:
            # Networks from other libraries are named by a parameter; our own state their inputs in their docstrings.
            if shape is None or "name" not in model.params or (model, shape.image) in seen:
                continue
            seen.add((model, shape.image))
            yield model, shape.image, max(2, cell.dataset.num_classes)


def check_input(model: ModelRef, image: tuple[int, ...], num_classes: int) -> None:
    """Run a network on one image of zeros, since not all networks take images of any size.

    Raises:
        SpecError: the network fails; the message says what to do.
        WeightsError: its weights file is unreadable or does not fit.
    """
    import torch

    from bench.training.fit import build_model

    try:
        network = build_model(model, image, num_classes, 0).eval()
        with torch.no_grad():
            shape = network(torch.zeros(1, *image)).shape
    except BenchError:
        raise
    except Exception as error:  # each library raises other exceptions
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        size = " x ".join(map(str, image[1:]))
        raise SpecError(
            f"model {model.label} does not take images of {size} px: {reason}. Give it size=S, to which images are "
            "scaled."
        ) from error
    if tuple(shape) != (1, num_classes):
        raise SpecError(f"model {model.label} gives {tuple(shape)} for one image of {num_classes} classes.")
