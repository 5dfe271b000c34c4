"""Build a network, train it and score it: what proxies, rehearsals and final models have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bench.data import Dataset, Images
from bench.errors import TrainingError
from bench.identity import ModelRef, derive_seed
from bench.plugins import models
from bench.progress import Progress
from bench.recipe import Recipe
from bench.training.batches import Batches, FileBatches, TensorBatches
from bench.training.loop import Evaluation, evaluate, steps_per_epoch, train, weighted_cross_entropy
from bench.training.recorder import DynamicsRecorder
from bench.weighted import of_mean_one

Inputs = Images | NDArray[np.float32]


class LabelledInputs(NamedTuple):
    """What a network is trained or scored on.

    Attributes:
        inputs: uint8 images [n, C, H, W] or float32 embeddings [n, D].
        targets: int64 [n], labels or pseudo-labels.
        num_classes: how many of them there can be, which is the number of the network's outputs.
        weights: float64 [n], above 0, of each one's loss; only their ratios count. None weights all alike.
    """

    inputs: Inputs
    targets: NDArray[np.int64]
    num_classes: int
    weights: NDArray[np.float64] | None = None


SHOWN = 5_000
"""Images that a network is shown before its training, as in Jordan 2024; 2 x 2 patches have a covariance of 12 x 12."""


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
    """Train a fresh network; the same seed gives the same initial weights, order and dropout whatever the method.

    Args:
        model: which network.
        training: what it learns.
        dataset: gives the normalisation of images; None for embeddings, which are taken as they are.
        recipe: how to train.
        iterations: optimiser steps.
        seed: of weights, order, augmentation, and of layers that draw, such as dropout.
        device: ``cpu`` or ``cuda``.
        recorder: observes the training dynamics.
        test: what is scored.
        progress: see ``train``.

    Returns:
        The evaluations on ``test``, in order.

    Raises:
        TrainingError: see ``train``; or weights for a network that does not learn by a loss.
    """

    def batches(part: LabelledInputs) -> Batches:
        return make_batches(part.inputs, part.targets, recipe=recipe, dataset=dataset, device=device)

    source = batches(training)
    shape, targets = training.inputs.shape[1:], training.targets
    network, generator = fresh_network(model, shape, training.num_classes, seed=seed, device=device, sample=source)
    if not models.get(model.name).info.learns:
        if training.weights is not None:
            raise TrainingError(
                f"model {model.name!r} remembers its images and learns by no loss, so it cannot weight them; this "
                "coreset has weights: train another model on it, or turn its method's weights off."
            )
        network.remember(first_inputs(source, len(source)), torch.from_numpy(np.array(targets)).to(device))  # type: ignore[operator]
        return [] if test is None else [evaluate(network, batches(test), iterations)]
    loss = None
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
            loss=loss,
        )


def fresh_network(
    model: ModelRef, shape: tuple[int, ...], num_classes: int, *, seed: int, device: str, sample: Batches | None = None
) -> tuple[nn.Module, torch.Generator]:
    """Return an untrained network on the device, and the CPU generator of order and augmentation to train it with.

    Args:
        model: which network. One with a method ``look_at(inputs)`` is shown some of the inputs, float32 [B, ...] as it
            will be given them, before it is trained; it sees no label. One with ``normalised_as(scale, shift)`` is
            told how its images are normalised.
        shape: of one input.
        num_classes: outputs.
        seed: of weights and order.
        device: ``cpu`` or ``cuda``.
        sample: what it will be trained on, of which the first ``SHOWN`` inputs are shown; without it none are.
    """
    # Weights and order from seeds of their own: a network with more weights to draw still sees the images in the same
    # order.
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
    """Return the first ``count`` inputs, or all where there are fewer: float32, normalised, not augmented."""
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
    """Return a network with random weights that depend on ``seed`` alone, on the CPU."""
    build: Callable[..., nn.Module] = models.get(model.name).function
    with seeded(seed, "cpu"):
        return build(shape, num_classes, **model.params)


@contextmanager
def seeded(seed: int, device: str) -> Iterator[None]:
    """Seed torch's global generators, from which initial weights and dropout come, and put them back afterwards.

    Args:
        seed: at least 0.
        device: ``cpu`` or ``cuda``, whose generator is seeded too.
    """
    # Global generators: most of torch's layers draw from no other. ``fork_rng`` puts a notebook's own state back.
    with torch.random.fork_rng(devices=[device] if device.startswith("cuda") else []):
        if device.startswith("cuda"):
            torch.cuda.manual_seed(seed)
        # Not ``torch.manual_seed``, which seeds every GPU of the machine as well, beyond what ``fork_rng`` restores.
        torch.default_generator.manual_seed(seed)
        yield


def make_batches(
    inputs: Inputs, targets: NDArray[np.int64], *, recipe: Recipe, dataset: Dataset | None, device: str
) -> Batches:
    """Put in-memory images and embeddings into one tensor on the device; image files are decoded as needed."""
    # A copy, since torch warns of the read-only arrays that the store and the pool give.
    target_tensor = torch.from_numpy(np.array(targets))
    kind = TensorBatches if isinstance(inputs, np.ndarray) else FileBatches
    values = torch.from_numpy(inputs) if isinstance(inputs, np.ndarray) else inputs
    # Embeddings ignore both; the placeholders only give the normaliser a shape.
    mean, std = (dataset.mean, dataset.std) if dataset else ((0.0,), (1.0,))
    return kind(values, target_tensor, recipe=recipe, mean=mean, std=std, device=device)  # type: ignore[arg-type]
