"""What a stage does, in units that can be timed: optimiser steps, images scored or embedded, steps of a clustering.

Pure: units are named here, counted by the stages, and timed by ``bench.engine.probe``.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple, TypeAlias

from bench.identity import DatasetRef, EncoderRef, ModelRef
from bench.plugins import models
from bench.recipe import Recipe
from bench.stages.memory import UNKNOWN_ACTIVATIONS, WIDTH

Inputs: TypeAlias = tuple[int, ...] | EncoderRef
"""What a network reads: images (C, H, W), or the embeddings of an encoder."""

# Seconds on one thread of a CPU, within a factor of about 3 for networks and 10 for the rest, for what is not worth a
# probe or cannot have one; from benchmarks/README.md and docs/how-long.md (AMD EPYC and Intel Xeon, November 2026).
_ACTIVATION = 3e-9
_IMAGE, _PIXELS = 0.05, 0.001
_LEARNED = 0.002
_PRODUCT = 1e-10
_ROUNDS = 20
"""Rounds of one start of k-means."""
_TAKES_TIME = {"batch_size", "augmentation", "crop_padding", "precision", "label_smoothing", "optimiser"}
"""The fields of a recipe that the time of a step depends on."""


class Step(NamedTuple):
    """One optimiser step on ``batch`` inputs. Of the recipe only what a step's time depends on is kept."""

    model: ModelRef
    inputs: Inputs
    classes: int
    recipe: Recipe
    batch: int

    def rough(self) -> float:
        # Once forwards, and about twice that backwards.
        return 3 * self.batch * _activations(self.model, self.inputs, self.classes) * _ACTIVATION


class Scored(NamedTuple):
    """One input through a trained network."""

    model: ModelRef
    inputs: Inputs
    classes: int
    recipe: Recipe

    def rough(self) -> float:
        return _activations(self.model, self.inputs, self.classes) * _ACTIVATION


class Embedded(NamedTuple):
    """One image (C, H, W) through an encoder."""

    encoder: EncoderRef
    image: tuple[int, ...]

    def rough(self) -> float:
        from bench.plugins import encoders

        return _IMAGE if encoders.get(self.encoder.name).info.gpu else _PIXELS


class Fitted(NamedTuple):
    """One image (C, H, W) in one pass over the pool of an encoder that learns from it."""

    encoder: EncoderRef
    image: tuple[int, ...]

    def rough(self) -> float:
        return _LEARNED


class HeadStep(NamedTuple):
    """One step of one TEMI head on ``batch`` embeddings."""

    encoder: EncoderRef
    clusters: int
    batch: int
    precision: Literal["fp32", "bf16"]

    def rough(self) -> float:
        weights = WIDTH * 512 + 512 * 256 + 256 * self.clusters
        return 10 * self.batch * weights * _PRODUCT


class Distance(NamedTuple):
    """The distance of one image to another in the search for neighbours."""

    encoder: EncoderRef

    def rough(self) -> float:
        return WIDTH * _PRODUCT


class Clustered(NamedTuple):
    """One image in one start of k-means on ``width`` numbers, or on all of the encoder's."""

    encoder: EncoderRef
    clusters: int
    width: int | None = None

    def rough(self) -> float:
        return _ROUNDS * self.clusters * (self.width or WIDTH) * _PRODUCT


Unit: TypeAlias = Step | Scored | Embedded | Fitted | HeadStep | Distance | Clustered


class Work(NamedTuple):
    """So many units of one sort."""

    unit: Unit
    number: float


def training(
    model: ModelRef, recipe: Recipe, inputs: Inputs, dataset: DatasetRef, images: int, steps: float, scored: float = 0
) -> list[Work]:
    """Return the work of a training.

    Args:
        model: what is trained.
        recipe: how.
        inputs: what it reads.
        dataset: gives the number of classes.
        images: that it is trained on; 0 where the pool's size is not known, which counts as full batches.
        steps: of the optimiser.
        scored: inputs that are scored meanwhile and afterwards.
    """
    if isinstance(inputs, EncoderRef) and not models.get(model.name).info.learns:
        return [Work(Distance(inputs), scored * images)] if scored else []
    of_a_step = Recipe.model_validate(recipe.model_dump(include=_TAKES_TIME))
    classes = max(2, dataset.num_classes)
    batch = min(recipe.batch_size, images or recipe.batch_size)
    units = [Work(Step(model, inputs, classes, of_a_step, batch), steps)]
    return [*units, Work(Scored(model, inputs, classes, of_a_step), scored)] if scored else units


def steps_of_epochs(recipe: Recipe, images: int) -> int:
    """Optimiser steps of ``recipe.proxy_epochs`` passes; as ``bench.training.fit.proxy_iterations``, without torch."""
    return recipe.proxy_epochs * max(1, math.ceil(images / recipe.batch_size))


def _activations(model: ModelRef, inputs: Inputs, classes: int) -> float:
    from bench.training.footprint import footprint

    size = (WIDTH,) if isinstance(inputs, EncoderRef) else inputs
    known = footprint(model, size, classes)
    return known.activations + known.parameters / 100 if known else UNKNOWN_ACTIVATIONS * math.prod(size)
