"""The work of stages in units that can be timed: optimiser steps, images scored or embedded, steps of a clustering.

The units are defined here, counted by the stages, and timed by ``bench.engine.probe``.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple, TypeAlias

from bench.identity import DatasetRef, EncoderRef, ModelRef
from bench.plugins import models
from bench.recipe import Recipe
from bench.stages.memory import UNKNOWN_ACTIVATIONS, WIDTH

Inputs: TypeAlias = tuple[int, ...] | EncoderRef
"""Inputs of a network: images (C, H, W), or the embeddings of an encoder."""

# Seconds on one thread of a CPU, within a factor of about 3 for networks and 10 for the rest, for units that are not
# worth a probe or cannot have one; from benchmarks/README.md and docs/how-long.md (AMD EPYC and Intel Xeon, November
# 2026).
_ACTIVATION = 3e-9
_IMAGE, _PIXELS = 0.05, 0.001
_LEARNED = 0.002
_PRODUCT = 1e-10
_ROUNDS = 20
"""Rounds of one start of k-means."""
_TAKES_TIME = {"batch_size", "augmentation", "crop_padding", "precision", "label_smoothing", "optimiser"}
"""The fields of a recipe that affect the time of a step."""


class Step(NamedTuple):
    """One optimiser step on ``batch`` inputs; the recipe holds only the fields that affect the time of a step."""

    model: ModelRef
    inputs: Inputs
    classes: int
    recipe: Recipe
    batch: int

    def rough(self) -> float:
        # One forward pass, and a backward pass of about twice its time.
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
    """One image (C, H, W) in one pass over the pool by an encoder that learns from it."""

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
    """The distance between two images in the search for neighbours."""

    encoder: EncoderRef

    def rough(self) -> float:
        return WIDTH * _PRODUCT


class Clustered(NamedTuple):
    """One image in one start of k-means, on ``width`` numbers or on whole embeddings."""

    encoder: EncoderRef
    clusters: int
    width: int | None = None

    def rough(self) -> float:
        return _ROUNDS * self.clusters * (self.width or WIDTH) * _PRODUCT


Unit: TypeAlias = Step | Scored | Embedded | Fitted | HeadStep | Distance | Clustered


class Work(NamedTuple):
    """A number of units of one kind."""

    unit: Unit
    number: float


def training_work(
    model: ModelRef, recipe: Recipe, inputs: Inputs, dataset: DatasetRef, images: int, steps: float, scored: float = 0
) -> list[Work]:
    """Return the work of a training.

    Args:
        model: the network.
        recipe: its recipe.
        inputs: its inputs.
        dataset: gives the number of classes.
        images: number of images that it is trained on; 0 if not known, which counts as full batches.
        steps: number of optimiser steps.
        scored: number of inputs that are scored during and after the training.
    """
    if isinstance(inputs, EncoderRef) and not models.get(model.name).info.learns:
        return [Work(Distance(inputs), scored * images)] if scored else []
    step_recipe = Recipe.model_validate(recipe.model_dump(include=_TAKES_TIME))
    classes = max(2, dataset.num_classes)
    batch = min(recipe.batch_size, images or recipe.batch_size)
    units = [Work(Step(model, inputs, classes, step_recipe, batch), steps)]
    return [*units, Work(Scored(model, inputs, classes, step_recipe), scored)] if scored else units


def steps_of_epochs(recipe: Recipe, images: int) -> int:
    """Return the optimiser steps of ``recipe.proxy_epochs`` passes, as ``bench.training.fit.proxy_iterations`` does."""
    return recipe.proxy_epochs * max(1, math.ceil(images / recipe.batch_size))


def _activations(model: ModelRef, inputs: Inputs, classes: int) -> float:
    from bench.training.footprint import footprint

    size = (WIDTH,) if isinstance(inputs, EncoderRef) else inputs
    known = footprint(model, size, classes)
    return known.activations + known.parameters / 100 if known else UNKNOWN_ACTIVATIONS * math.prod(size)
