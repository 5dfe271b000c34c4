"""How a network is trained: one frozen, hashable description for proxies and final models."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from bench.errors import SpecError

PROTOCOL = 1
"""Version of the evaluation protocol. Rows of different versions are never shown in one table."""
KNOWN_PROTOCOLS = (1,)
"""All versions that there have been."""

Augmentation = Literal["none", "crop", "crop-flip", "crop-alternating-flip", "resized-crop-flip"]
Schedule = Literal["cosine", "triangular"]
Precision = Literal["auto", "fp32", "tf32", "bf16"]
Optimiser = Literal["sgd", "adamw"]


class Recipe(BaseModel):
    """An optimiser with a learning rate that changes per iteration, by default as in the papers: SGD, cosine decay.

    Attributes:
        iterations: optimiser steps of a final model, whatever the coreset's size.
        proxy_epochs: passes over the pool for a proxy.
        batch_size: images per step; a coreset smaller than this is one batch.
        lr: first learning rate.
        lr_min: learning rate that the schedule ends at.
        schedule: ``cosine`` falls from ``lr``; ``triangular`` rises linearly from a fifth of ``lr`` to ``lr`` at 23 %
            of the iterations and falls linearly to ``lr_min`` (Jordan 2024, arXiv:2404.00498).
        warm_up: part of the iterations in which the learning rate rises linearly from 0, before a cosine begins.
        optimiser: ``sgd``, or ``adamw`` (Loshchilov and Hutter 2019) with betas of 0.9 and 0.999.
        momentum: SGD momentum.
        nesterov: Nesterov momentum.
        weight_decay: L2 penalty on all parameters; of ``adamw`` decoupled, and on matrices and filters alone.
        label_smoothing: share of each target that is spread evenly over all classes.
        augmentation: ``crop`` is a random crop after reflect padding, ``flip`` a horizontal mirror by chance,
            ``alternating-flip`` one that each image has in every other epoch (Jordan 2024), ``resized-crop-flip``
            ImageNet's random resized crop.
        crop_padding: pixels of padding before the random crop.
        evaluations: how often the test split is scored during training, evenly spaced, the last at the end.
        precision: ``auto`` is bf16 autocast on a GPU or CPU that computes in it, fp32 elsewhere; ``tf32`` is fp32 but
            for the products of convolutions and linear layers, on a GPU that has it. With bf16 the last linear layer is
            in fp32; what was trained in bf16 or tf32 is scored in tf32 on a GPU, in fp32 on a CPU.
        scale: factor by which ``scaled`` shortened the recipe; 1 is the full protocol.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    # Fields of later versions are left out at their defaults (``exclude_if``): hashes of cells and keys of stages from
    # before they were there stay what they are.
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
            SpecError: a precision that the device does not offer.
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
        """Shorten iterations and proxy epochs in proportion, and mark the recipe as scaled."""
        return self.model_copy(
            update={
                "iterations": max(1, round(self.iterations * factor)),
                "proxy_epochs": max(1, round(self.proxy_epochs * factor)),
                # A product: a preset that is scaled already may be scaled again.
                "scale": self.scale * factor,
            }
        )


def proxy_recipe(recipe: Recipe) -> Recipe:
    """Drop the fields that play no part in a proxy's training, so that recipes which differ in them share artifacts."""
    defaults = Recipe()
    # The defaults and not None: keys of stages that were stored under them stay what they are.
    return recipe.model_copy(update={"iterations": defaults.iterations, "evaluations": 1})


def learning_rate_factors(schedule: Schedule, iterations: int, end: float, warm_up: float = 0.0) -> list[float]:
    """Return the factors of ``lr`` at each step of a schedule that torch does not compute, and after the last step.

    Args:
        schedule: a ``cosine`` without a warm-up is torch's own where all layers learn at one rate.
        iterations: T.
        end: the last factor.
        warm_up: part of T in which a cosine schedule rises first.

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
    # 23 % and a fifth are the speed run's (Jordan 2024); at least one step, as a rise of none would divide by 0.
    peak = max(1, round(0.23 * iterations))
    rise = [0.2 + 0.8 * step / peak for step in range(peak)]
    fall = [1 + (end - 1) * step / max(1, iterations - peak) for step in range(iterations - peak + 1)]
    return rise + fall


def scoring_steps(iterations: int, evaluations: int) -> Sequence[int]:
    """Return the steps after which the test split is scored: evenly spaced, the last at the end; ascending from 1."""
    if evaluations >= iterations:
        return range(1, iterations + 1)
    # Not ``range`` with a step: where the evaluations do not divide the iterations, the last must still be at the end.
    return [round(iterations * part / evaluations) for part in range(1, evaluations + 1)]
