"""Terms of the estimates of memory, disk and GPU memory that stages make before a run.

N images of the pool, T test images, P bytes per image (0 if images stay in files), B the batch size: every process
takes 1.1 GB for Python, torch, Ray, and the remains of an earlier cell in a reused worker. Training takes the data set,
N P again for the images that a network is trained on, 4 copies of the parameters and 2 copies of the activations of a
batch, counted layer by layer. On a GPU it takes 500 MB for CUDA and the same, except that the process stays in main
memory, with the data set and 2 GB of CUDA's libraries: a guess, for want of a GPU to measure it on.

Estimates are meant to be too high rather than too low; ``python -m benchmarks memory_estimates`` compares them with
measured peaks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from bench.identity import DatasetRef, ModelRef
from bench.recipe import Recipe

PROCESS = 1_100 * 10**6
"""Bytes of any process before its work; for this and the next two see the module's docstring."""
CUDA = 500 * 10**6
CUDA_PROCESS = 2_000 * 10**6
WIDTH = 2048
"""Assumed width of an embedding."""
UNKNOWN_ACTIVATIONS = 500
"""Activations per input value of a network that cannot be counted; a ResNet-18 on 32 x 32 pixels has about as many."""


@dataclass(frozen=True)
class Shape:
    """The size of a data set: images of both splits, the shape (C, H, W) of one, and whether they are in memory."""

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
    """Bytes of memory that a process takes at its peak, of disk for its result, and of GPU memory if it uses one."""

    memory: int
    disk: int
    gpu: int = 0


def of_training(data: int, network: int, disk: int, device: str) -> Estimate:
    """Return the estimate of a training; on a GPU, network and batch are there only, and the data also in memory."""
    return Estimate(PROCESS + data + in_memory(network, device), disk, CUDA + data + network)


def in_memory(working_set: int, device: str) -> int:
    """Return the bytes of main memory for a device's working set; for a GPU those of CUDA's libraries instead."""
    return CUDA_PROCESS if working_set and device != "cpu" else working_set


def training_bytes(model: ModelRef, recipe: Recipe, shape: Shape, dataset: DatasetRef, images: int) -> tuple[int, int]:
    """Return the bytes of the data, and those of network and batch, without those of the process.

    Args:
        model: the network.
        recipe: its recipe.
        shape: size of the data set.
        dataset: gives the number of classes.
        images: number of images that it is trained on.
    """
    from bench.plugins import models
    from bench.training.footprint import footprint

    inputs = shape.image if models.get(model.name).info.inputs == "images" else (WIDTH,)
    values = math.prod(inputs)
    data = shape.bytes + images * shape.per_image
    if inputs == (WIDTH,):
        # Twice: as loaded from the store, and as the tensor that a network trains on.
        data = 2 * (shape.train + shape.test) * WIDTH * 4
    known = footprint(model, inputs, max(2, dataset.num_classes))
    parameters, activations = known or (0, UNKNOWN_ACTIVATIONS * values)
    batch = max(2, min(recipe.batch_size, images))
    # Float32: 4 copies of the parameters, with gradient and momentum, and 2 of the activations of a batch.
    return data, 4 * 4 * parameters + 2 * 4 * batch * (activations + values)
