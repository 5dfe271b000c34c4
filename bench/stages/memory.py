"""Terms of the estimates that stages make of themselves before anything runs.

N images of the pool, T test images, P bytes per image (0 where images stay in their files), B the batch size: every
process takes 1.1 GB for Python, torch, Ray, and what an earlier cell left in a worker that is used again. Training
takes the data set, N P once more for the images that a network is trained on, 4 copies of the parameters and 2 copies
of the activations of a batch, counted layer by layer. On a GPU it is 500 MB for CUDA and the same without the process;
the process beside it holds the data set, and 2 GB of CUDA's libraries: a guess, for want of a GPU to measure it on.

Estimates are meant to err upwards; ``python -m benchmarks memory_estimates`` compares them with measured peaks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from bench.identity import DatasetRef, ModelRef
from bench.recipe import Recipe

PROCESS = 1_100 * 10**6
"""Bytes of any process before its work; this one and the next two as the module says."""
CUDA = 500 * 10**6
CUDA_PROCESS = 2_000 * 10**6
WIDTH = 2048
"""What an embedding counts as until its encoder says otherwise."""
UNKNOWN_ACTIVATIONS = 500
"""Activations per input value of a network that cannot be counted; a ResNet-18 on 32 x 32 pixels has about as many."""


@dataclass(frozen=True)
class Shape:
    """A data set's size: images of both splits, shape (C, H, W) of one, and whether they are held in memory."""

    train: int
    test: int
    image: tuple[int, ...]
    in_memory: bool = True

    @property
    def bytes(self) -> int:
        """Bytes of both splits in memory."""
        return (self.train + self.test) * self.per_image

    @property
    def per_image(self) -> int:
        """Bytes of one image in memory."""
        size = 4 if len(self.image) == 1 else 1  # vectors are float32
        return size * math.prod(self.image) if self.in_memory else 0

    @property
    def embeddings(self) -> int:
        """Bytes of the pool's embeddings, float32 [N, 2048]."""
        return self.train * WIDTH * 4


@dataclass(frozen=True)
class Estimate:
    """Bytes of memory that a process takes at its peak, of disk that its result takes, and of a GPU where one works."""

    memory: int
    disk: int
    gpu: int = 0


def of_training(data: int, network: int, disk: int, device: str) -> Estimate:
    """Estimate a process that trains; on a GPU, network and batch lie there alone, and the data here as well."""
    return Estimate(PROCESS + data + in_memory(network, device), disk, CUDA + data + network)


def in_memory(worked_on: int, device: str) -> int:
    """Return the bytes of memory for what a device works on: on a GPU those of CUDA's libraries in its place."""
    return CUDA_PROCESS if worked_on and device != "cpu" else worked_on


def training_bytes(model: ModelRef, recipe: Recipe, shape: Shape, dataset: DatasetRef, images: int) -> tuple[int, int]:
    """Return the bytes of the data, and of network and batch, without those of the process.

    Args:
        model: the network.
        recipe: how it is trained.
        shape: of the data set.
        dataset: gives the number of classes.
        images: that it is trained on.
    """
    from bench.plugins import models
    from bench.training.footprint import footprint

    inputs = shape.image if models.get(model.name).info.inputs == "images" else (WIDTH,)
    values = math.prod(inputs)
    data = shape.bytes + images * shape.per_image
    if inputs == (WIDTH,):
        # Twice: as they come from the store, and as the tensor that a network trains on.
        data = 2 * (shape.train + shape.test) * WIDTH * 4
    counted = footprint(model, inputs, max(2, dataset.num_classes))
    parameters, activations = counted or (0, UNKNOWN_ACTIVATIONS * values)
    batch = max(2, min(recipe.batch_size, images))
    # Float32 in both: 4 copies of the parameters, gradient and momentum among them, and 2 of what a batch leaves.
    return data, 4 * 4 * parameters + 2 * 4 * batch * (activations + values)
