"""Building, training and scoring a network, for proxies, rehearsals and final models alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bench.data import Dataset, Images
from bench.identity import ModelRef, derive_seed
from bench.plugins import models
from bench.progress import Progress
from bench.recipe import Recipe
from bench.training.batches import Batches, FileBatches, TensorBatches
from bench.training.loop import (
    Evaluation,
    Loss,
    cross_entropy,
    evaluate,
    for_classes,
    steps_per_epoch,
    train,
    weighted_cross_entropy,
)
from bench.training.recorder import DynamicsRecorder
from bench.weighted import of_mean_one

Inputs = Images | NDArray[np.float32]


class LabelledInputs(NamedTuple):
    """Inputs with labels, to train or score a network on.

    Attributes:
        inputs: uint8 images [n, C, H, W] or float32 embeddings [n, D].
        targets: int64 [n], labels or pseudo-labels.
        num_classes: number of classes, and of the network's outputs.
        weights: float64 [n], above 0, weights of the losses; only their ratios matter. None is equal weights.
    """

    inputs: Inputs
    targets: NDArray[np.int64]
    num_classes: int
    weights: NDArray[np.float64] | None = None


SHOWN = 5_000
"""Images that a network sees before its training, as in Jordan 2024; 2 x 2 patches have a covariance of 12 x 12."""


def fit(
    model: ModelRef,
    training: LabelledInputs,
    *,
    dataset: Dataset | None,
    recipe: Recipe,
    iterations: int,
    seed: int,
    device: str,
    recorder: DynamicsRecorder | None = None,
    test: LabelledInputs | None = None,
    progress: Progress | None = None,
) -> list[Evaluation]:
    """Train a new network and return its evaluations; a seed gives the same initial weights, order and dropout.

    Args:
        model: the network.
        training: the labelled inputs to learn.
        dataset: provides the normalisation of images; None for embeddings, which are used as they are.
        recipe: how to train.
        iterations: optimiser steps.
        seed: seed of weights, order, augmentation and random layers such as dropout.
        device: ``cpu`` or ``cuda``.
        recorder: records the training dynamics.
        test: the labelled inputs to score.
        progress: see ``train``.

    Returns:
        The evaluations on ``test``, in order.

    Raises:
        TrainingError: the network's outputs are not [B, num_classes]; see ``train`` too.
    """

    def batches(part: LabelledInputs) -> Batches:
        return make_batches(part.inputs, part.targets, recipe=recipe, dataset=dataset, device=device)

    source = batches(training)
    shape, targets = training.inputs.shape[1:], training.targets
    network, generator = fresh_network(model, shape, training.num_classes, seed=seed, device=device, sample=source)
    if not models.get(model.name).info.learns:
        network.remember(first_inputs(source, len(source)), torch.from_numpy(np.array(targets)).to(device))  # type: ignore[operator]
        return [] if test is None else [evaluate(network, batches(test), iterations, flip=recipe.test_flip)]
    loss: Loss = cross_entropy
    if training.weights is not None:
        loss = weighted_cross_entropy(torch.from_numpy(of_mean_one(training.weights)).to(device))
    with seeded(derive_seed(seed, "layers"), device):
        return train(
            network,
            source,
            recipe=recipe,
            iterations=iterations,
            generator=generator,
            recorder=recorder,
            test=None if test is None else batches(test),
            progress=progress,
            loss=for_classes(training.num_classes, loss),
        )


def fresh_network(
    model: ModelRef, shape: tuple[int, ...], num_classes: int, *, seed: int, device: str, sample: Batches | None = None
) -> tuple[nn.Module, torch.Generator]:
    """Return an untrained network on the device, and the CPU generator of its order and augmentation.

    Args:
        model: the network. If it has a method ``look_at(inputs)``, it is called before training with some of the
            inputs, float32 [B, ...], without labels. If it has ``normalised_as(scale, shift)``, it is called with the
            normalisation of its images.
        shape: shape of one input.
        num_classes: number of outputs.
        seed: seed of weights and order.
        device: ``cpu`` or ``cuda``.
        sample: the batches that it will be trained on, of which ``look_at`` gets the first ``SHOWN`` inputs; without
            it, neither method is called.
    """
    # Separate seeds for weights and order: a network with more weights to draw still sees images in the same order.
    network = build_model(model, shape, num_classes, derive_seed(seed, "weights"))
    generator = torch.Generator().manual_seed(derive_seed(seed, "order"))
    # Built on the CPU and moved, so that initial weights are the same on every device.
    network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    if sample is not None and (look_at := getattr(network, "look_at", None)) is not None:
        look_at(first_inputs(sample, SHOWN))
    if sample is not None and (normalised_as := getattr(network, "normalised_as", None)) is not None:
        normalised_as(*sample.normalisation)
    return network, generator


def first_inputs(batches: Batches, count: int) -> Tensor:
    """Return the first ``count`` inputs, or all if there are fewer: float32, normalised, not augmented."""
    parts: list[Tensor] = []
    for batch in batches.in_order():
        parts.append(batch.inputs[: count - sum(map(len, parts))])
        if sum(map(len, parts)) == count:
            break
    return torch.cat(parts)


def proxy_iterations(recipe: Recipe, size: int) -> int:
    """Return the optimiser steps of ``recipe.proxy_epochs`` passes over ``size`` images."""
    return recipe.proxy_epochs * steps_per_epoch(size, recipe.batch_size)


def build_model(model: ModelRef, shape: tuple[int, ...], num_classes: int, seed: int) -> nn.Module:
    """Return a network on the CPU with random weights that depend only on ``seed``."""
    build: Callable[..., nn.Module] = models.get(model.name).function
    with seeded(seed, "cpu"):
        return build(shape, num_classes, **model.params)


@contextmanager
def seeded(seed: int, device: str) -> Iterator[None]:
    """Seed torch's global generators inside the block, for initial weights and dropout; restore their state after it.

    Args:
        seed: at least 0.
        device: ``cpu`` or ``cuda``, whose generator is seeded too.
    """
    # Global generators: most of torch's layers draw from no other. ``fork_rng`` restores the state of a notebook.
    with torch.random.fork_rng(devices=[device] if device.startswith("cuda") else []):
        if device.startswith("cuda"):
            torch.cuda.manual_seed(seed)
        # Not ``torch.manual_seed``, which also seeds every GPU of the machine, more than ``fork_rng`` restores.
        torch.default_generator.manual_seed(seed)
        yield


def make_batches(
    inputs: Inputs, targets: NDArray[np.int64], *, recipe: Recipe, dataset: Dataset | None, device: str
) -> Batches:
    """Return batches of images or embeddings on the device, or of image files that are decoded as needed."""
    # A copy, since torch warns about the read-only arrays of the store and the pool.
    target_tensor = torch.from_numpy(np.array(targets))
    kind = TensorBatches if isinstance(inputs, np.ndarray) else FileBatches
    values = torch.from_numpy(inputs) if isinstance(inputs, np.ndarray) else inputs
    # Embeddings ignore both values, but the normaliser needs a shape.
    mean, std = (dataset.mean, dataset.std) if dataset else ((0.0,), (1.0,))
    return kind(values, target_tensor, recipe=recipe, mean=mean, std=std, device=device)  # type: ignore[arg-type]
