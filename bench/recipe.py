"""The training recipe: one frozen, hashable description of how proxies and final models are trained."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from bench.errors import SpecError

PROTOCOL = 1
"""Version of the evaluation protocol. Rows of different versions are never shown in one table."""
KNOWN_PROTOCOLS = (1,)
"""All versions of the protocol so far."""

Augmentation = Literal["none", "crop", "crop-flip", "crop-alternating-flip", "resized-crop-flip"]
Schedule = Literal["cosine", "triangular"]
Precision = Literal["auto", "fp32", "tf32", "bf16"]
Optimiser = Literal["sgd", "adamw"]


class Recipe(BaseModel):
    """The settings of a training; the defaults are those of the papers: SGD with a cosine decay per iteration.

    Attributes:
        iterations: optimiser steps of a final model, whatever the size of the coreset.
        proxy_epochs: passes over the pool for a proxy.
        batch_size: images per step; a coreset smaller than this is one batch.
        lr: first learning rate.
        lr_min: learning rate at the end of the schedule.
        schedule: ``cosine`` falls from ``lr``; ``triangular`` rises linearly from a fifth of ``lr`` to ``lr`` at 23 %
            of the iterations and falls linearly to ``lr_min`` (Jordan 2024, arXiv:2404.00498).
        warm_up: fraction of the iterations in which the learning rate rises linearly from 0, before the cosine decay.
        optimiser: ``sgd``, or ``adamw`` (Loshchilov and Hutter 2019) with betas of 0.9 and 0.999.
        momentum: momentum of SGD.
        nesterov: whether the momentum is Nesterov's.
        weight_decay: L2 penalty on all parameters; for ``adamw`` decoupled, and only on matrices and filters.
        label_smoothing: fraction of each target that is spread evenly over all classes.
        augmentation: ``crop`` is a random crop after reflect padding, ``flip`` a random horizontal mirror,
            ``alternating-flip`` mirrors each image in every other epoch (Jordan 2024), ``resized-crop-flip`` is
            ImageNet's random resized crop with a mirror.
        crop_padding: pixels of padding before the random crop.
        evaluations: number of times the test split is scored during training, evenly spaced, the last at the end.
        test_flip: whether the last scoring also reads each test image with its mirror image, as a metric of its own.
        precision: ``auto`` is bf16 autocast on a GPU that computes bf16 or a CPU with AMX, and fp32 elsewhere; ``tf32``
            is fp32 except for the products of convolutions and linear layers, on a GPU that has it. With bf16 the last
            linear layer is in fp32. A network trained in bf16 or tf32 is scored in tf32 on a GPU, in fp32 on a CPU.
        scale: factor by which ``scaled`` shortened the recipe; 1 is the full protocol.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    # Fields that were added later are left out at their defaults (``exclude_if``), so that hashes of cells and keys of
    # stages from before still hold.
    iterations: Annotated[int, Field(ge=1)] = 40_000
    proxy_epochs: Annotated[int, Field(ge=1)] = 200
    batch_size: Annotated[int, Field(ge=2)] = 256
    lr: Annotated[float, Field(gt=0)] = 0.1
    lr_min: Annotated[float, Field(ge=0)] = 1e-4
    schedule: Annotated[Schedule, Field(exclude_if=lambda value: value == "cosine")] = "cosine"
    warm_up: Annotated[float, Field(ge=0, lt=1, exclude_if=lambda value: value == 0)] = 0.0
    optimiser: Annotated[Optimiser, Field(exclude_if=lambda value: value == "sgd")] = "sgd"
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    nesterov: bool = True
    weight_decay: Annotated[float, Field(ge=0)] = 5e-4
    label_smoothing: Annotated[float, Field(ge=0, lt=1, exclude_if=lambda value: value == 0)] = 0.0
    augmentation: Augmentation = "crop-flip"
    crop_padding: Annotated[int, Field(ge=0)] = 4
    evaluations: Annotated[int, Field(ge=1)] = 50
    test_flip: Annotated[bool, Field(exclude_if=lambda value: not value)] = False
    precision: Precision = "auto"
    scale: Annotated[float, Field(gt=0, le=1)] = 1.0

    @model_validator(mode="after")
    def _consistent(self) -> Recipe:
        if self.lr_min > self.lr:
            raise ValueError(f"lr_min={self.lr_min} is above lr={self.lr}")
        if self.warm_up and self.schedule != "cosine":
            raise ValueError(f"warm_up={self.warm_up} goes with schedule=cosine; {self.schedule} rises by itself")
        if self.nesterov and self.momentum == 0:
            raise ValueError("nesterov needs momentum above 0")
        return self

    def at_precision(self, offered: Sequence[Precision]) -> Recipe:
        """Return the recipe with ``auto`` replaced by the first precision that the device offers.

        Raises:
            SpecError: the device does not offer the recipe's precision.
        """
        if self.precision == "auto":
            return self.model_copy(update={"precision": offered[0]})
        if self.precision not in offered:
            raise SpecError(
                f"precision={self.precision} needs a GPU of the Ampere generation or newer; valid here: "
                f"{', '.join(['auto', *sorted(offered)])}."
            )
        return self

    def scaled(self, factor: float) -> Recipe:
        """Return the recipe with iterations and proxy epochs shortened in proportion, and marked as scaled."""
        return self.model_copy(
            update={
                "iterations": max(1, round(self.iterations * factor)),
                "proxy_epochs": max(1, round(self.proxy_epochs * factor)),
                # Multiplied, since a preset that is already scaled may be scaled again.
                "scale": self.scale * factor,
            }
        )


def check_padding(padding: int, height: int, width: int) -> None:
    """Refuse a padding that reflection cannot fill.

    Raises:
        SpecError: the padding is not below both sides of the images.
    """
    if padding >= min(height, width):
        raise SpecError(
            f"crop_padding={padding} is not valid for images of {height}x{width} pixels: reflection fills at most "
            f"{min(height, width) - 1}."
        )


def proxy_recipe(recipe: Recipe) -> Recipe:
    """Return the recipe with the fields that a proxy ignores at fixed values, so that such recipes share artifacts."""
    defaults = Recipe()
    # The defaults instead of None, so that the keys of stored stages still hold.
    return recipe.model_copy(update={"iterations": defaults.iterations, "evaluations": 1, "test_flip": False})


def learning_rate_factors(schedule: Schedule, iterations: int, end: float, warm_up: float = 0.0) -> list[float]:
    """Return the factors of ``lr`` at each step of a schedule that torch does not provide, and after the last step.

    Args:
        schedule: name of the schedule; for a ``cosine`` without warm-up, and one rate for all layers, torch's is used.
        iterations: T.
        end: the last factor.
        warm_up: fraction of T in which a cosine schedule rises first.

    Returns:
        T + 1 factors, in [0, 1].
    """
    if schedule == "cosine":
        rising = min(max(1, round(warm_up * iterations)), iterations) if warm_up else 0
        falling = max(1, iterations - rising)
        fall = [
            end + (1 - end) * (1 + math.cos(math.pi * step / falling)) / 2 for step in range(iterations - rising + 1)
        ]
        # The first step is not 0, or it would teach nothing.
        return [(step + 1) / (rising + 1) for step in range(rising)] + fall
    if schedule != "triangular":
        raise ValueError(schedule)
    # 23 % and a fifth are those of the speed run (Jordan 2024); at least one step, since none would divide by 0.
    peak = max(1, round(0.23 * iterations))
    rise = [0.2 + 0.8 * step / peak for step in range(peak)]
    fall = [1 + (end - 1) * step / max(1, iterations - peak) for step in range(iterations - peak + 1)]
    return rise + fall


def scoring_steps(iterations: int, evaluations: int) -> Sequence[int]:
    """Return the steps after which the test split is scored: ascending from 1, evenly spaced, the last at the end."""
    if evaluations >= iterations:
        return range(1, iterations + 1)
    # Not ``range`` with a step: if the evaluations do not divide the iterations, the last must still be at the end.
    return [round(iterations * part / evaluations) for part in range(1, evaluations + 1)]
