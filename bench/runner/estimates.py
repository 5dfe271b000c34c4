"""What a stage or a cell will take of memory and disk, by simple formulas, before anything runs.

N images of the pool, T test images, P bytes per image (0 where images stay in their files), B the batch size, H heads:

- every process: 1.1 GB for Python, torch, Ray, and what an earlier cell left in a worker that is used again;
- data set: (N + T) P, and N P once more for the images that a network is trained on, or that an encoder, or a method
  that reads images, is given a copy of;
- fitting an encoder: data set, and what the encoder declares; its state counts as 50 MB on disk;
- embeddings: N D 4 bytes on disk, twice in memory; D counts as 2048 until an encoder says otherwise;
- neighbours: N k 12 bytes on disk; in memory beside them the embeddings as read, normalised, and in the index;
- number of clusters: embeddings twice in memory, next to nothing on disk;
- pseudo-labels: embeddings, and for each head 5 copies of its weights (weights, gradient, two moments, teacher) and
  4 copies of the activations of a batch of up to 1024;
- training: data set, 4 copies of the parameters, 2 copies of the activations of a batch, counted layer by layer;
- gradient norms: training twice over, and 200 MB for what torch loads for them; 8 N bytes on disk;
- on a GPU, 500 MB for CUDA and what is above of training, gradient norms (and 4.3 GB for those that it holds at once),
  or pseudo-labels without the process; what an encoder takes there is not estimated. The process beside it holds the
  data set, and 2 GB of CUDA's libraries: a guess, for want of a GPU to measure it on;
- dynamics: 64 N bytes on disk; a selection 16 N; a row, its coreset and its scores 50 kB and 12 N.

They are meant to err upwards; ``python -m benchmarks memory_estimates`` compares them with measured peaks.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from bench.grid.cells import Cell
from bench.grid.stages import (
    ClusterCount,
    Embeddings,
    EncoderFit,
    GradientNorms,
    NeighborLists,
    ProxyDynamics,
    PseudoLabels,
    Selection,
    Stage,
)
from bench.quantities import show_bytes
from bench.recipe import Recipe
from bench.refs import DatasetRef, ModelRef

PROCESS = 1_100 * 10**6
CUDA = 500 * 10**6
CUDA_PROCESS = 2_000 * 10**6
WIDTH = 2048
FITTED = 50 * 10**6
UNKNOWN_ACTIVATIONS = 500
"""Activations per input value of a network that cannot be counted; a ResNet-18 on 32 x 32 pixels has about as many."""
_VMAP = 200 * 10**6
_HIDDEN, _BOTTLENECK, _TEMI_BATCH = 512, 256, 1024
_MOST_ESTIMATED = 200
"""Clusters that ``num_clusters="estimate"`` finds at most."""


@dataclass(frozen=True)
class Shape:
    """A data set's size: images of both splits, shape (C, H, W) of one, and whether they are held in memory."""

    train: int
    test: int
    image: tuple[int, ...]
    in_memory: bool = True

    @property
    def bytes(self) -> int:
        """Of both splits in memory."""
        return (self.train + self.test) * self.per_image

    @property
    def per_image(self) -> int:
        """Bytes of one image in memory."""
        size = 1
        for length in self.image:
            size *= length
        return size if self.in_memory else 0


@dataclass(frozen=True)
class Estimate:
    """Bytes of memory that a process takes at its peak, of disk that its result takes, and of a GPU where one works."""

    memory: int
    disk: int
    gpu: int = 0


Named: TypeAlias = Sequence[tuple[str, Estimate]]


@dataclass(frozen=True)
class Machine:
    """What this machine has.

    Attributes:
        memory: bytes, or those that its container may use.
        gpu_memory: bytes of the smallest GPU; None where none is asked for.
    """

    memory: int
    gpu_memory: int | None = None


def estimate(work: Stage | Cell, shapes: Mapping[str, Shape], device: str = "cpu") -> Estimate:
    """Memory and disk of one stage or cell.

    Args:
        work: what is run.
        shapes: data set's label -> its size.
        device: what trains, ``cpu`` or ``cuda``.
    """
    if isinstance(work, Cell):
        shape = shapes[work.dataset.label]
        data, network = _training(work.model, work.recipe, shape, work.dataset, work.budget)
        return _trained(data, network, 50_000 + 12 * shape.train, device)
    shape = shapes[dataset_of(work).label]
    size = shape.train
    embeddings = size * WIDTH * 4
    if isinstance(work, EncoderFit):
        return Estimate(PROCESS + shape.bytes + size * shape.per_image + _fitting(work, shape), FITTED)
    if isinstance(work, Embeddings):
        rows = shape.test if work.split == "test" else size
        return Estimate(PROCESS + shape.bytes + rows * (shape.per_image + 2 * WIDTH * 4), rows * WIDTH * 4)
    if isinstance(work, NeighborLists):
        return Estimate(PROCESS + 3 * embeddings + 2 * size * work.k * 12, size * work.k * 12)
    if isinstance(work, ClusterCount):
        return Estimate(PROCESS + 2 * embeddings, 4096)
    if isinstance(work, PseudoLabels):
        heads = _heads(work)
        return Estimate(
            PROCESS + 2 * embeddings + _here(heads, device), size * 8, CUDA + embeddings + heads if heads else 0
        )
    if isinstance(work, GradientNorms):
        from bench.training.outputs import HELD_ON_GPU

        data, network = _training(work.proxy.model, work.proxy.recipe, shape, work.dataset, size)
        held = _VMAP if device == "cpu" else 4 * HELD_ON_GPU
        return _trained(2 * data, 2 * network + held, 8 * size, device)
    if isinstance(work, ProxyDynamics):
        data, network = _training(work.proxy.model, work.proxy.recipe, shape, work.dataset, size)
        return _trained(data, network, 64 * size, device)
    assert isinstance(work, Selection)
    reads = 2 * embeddings if work.encoder is not None else 0
    if any(item.part == "images" for item in work.needs()):
        reads += size * shape.per_image
    trains = 0
    if work.uses_gpu() and work.proxy is not None:
        trains = sum(_training(work.proxy.model, work.proxy.recipe, shape, work.dataset, work.budget))
    return Estimate(PROCESS + shape.bytes + reads + _here(trains, device), 16 * size, CUDA + trains if trains else 0)


def dataset_of(work: Stage | Cell) -> DatasetRef:
    """The data set that a stage or cell works on."""
    if isinstance(work, (ClusterCount, NeighborLists, PseudoLabels)):
        return work.embeddings.dataset
    assert isinstance(work, (Cell, Embeddings, EncoderFit, GradientNorms, ProxyDynamics, Selection))
    return work.dataset


def this_machine(device: str = "cpu") -> Machine:
    """Memory, as a container limits it where it does, and that of the GPUs where ``device`` is one."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for path in memory_limits():
        try:
            memory = min(memory, int(path.read_text()))
        except (OSError, ValueError):
            continue
    return Machine(memory, _gpu_memory() if device != "cpu" else None)


def memory_limits(groups: Path = Path("/proc/self/cgroup"), root: Path = Path("/sys/fs/cgroup")) -> list[Path]:
    """Files that may limit the memory of this process: of its control group, as Slurm makes one for each job, and of
    all above it.

    Args:
        groups: the kernel's list of the groups of this process, ``number:controllers:/path`` each.
        root: where they are mounted.
    """
    found = [root / "memory.max", root / "memory/memory.limit_in_bytes"]
    with suppress(OSError):
        for line in groups.read_text().splitlines():
            number, controllers, path = line.split(":", 2)
            base, name = (root, "memory.max") if number == "0" else (root / "memory", "memory.limit_in_bytes")
            if number == "0" or "memory" in controllers.split(","):
                inside = base / path.lstrip("/")
                found += [folder / name for folder in (inside, *inside.parents) if folder.is_relative_to(base)]
    return found


def _gpu_memory() -> int | None:
    import torch

    return min(
        (torch.cuda.get_device_properties(number).total_memory for number in range(torch.cuda.device_count())),
        default=None,
    )


def free_disk(folder: Path) -> int:
    """Free bytes on the disk that holds ``folder``, which need not exist yet."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def shortages(stages: Named, cells: Named, machine: Machine, *, cache: Path, out: Path, gpus: float = 0.0) -> list[str]:
    """What this machine lacks, one sentence each.

    Args:
        stages: titles and estimates of the shared stages to compute.
        cells: identities and estimates of the cells to train.
        machine: what there is.
        cache: folder of the shared stages.
        out: folder of the rows.
        gpus: of one stage or trial; a fraction is its share of one GPU's memory.
    """
    found = []
    if stages or cells:
        title, largest = max([*stages, *cells], key=lambda item: item[1].memory)
        if largest.memory > machine.memory:
            found.append(
                f"{title} needs about {show_bytes(largest.memory)} of memory, and this machine has "
                f"{show_bytes(machine.memory)}; a smaller batch_size (--recipe), model or --pool-size takes less."
            )
    if (stages or cells) and machine.gpu_memory is not None:
        title, largest = max([*stages, *cells], key=lambda item: item[1].gpu)
        share = int(machine.gpu_memory * min(1.0, gpus or 1.0))
        if largest.gpu > share:
            found.append(
                f"{title} needs about {show_bytes(largest.gpu)} of GPU memory, and its share is {show_bytes(share)}; a "
                "smaller batch_size (--recipe) takes less, more --gpus-per-trial (up to 1) gives more."
            )
    for name, folder, needed in (
        ("shared stages", cache, sum(item.disk for _, item in stages)),
        ("rows", out, sum(item.disk for _, item in cells)),
    ):
        free = free_disk(folder)
        if needed > free:
            found.append(
                f"the {name} need about {show_bytes(needed)} on disk, and {folder} has {show_bytes(free)} free."
            )
    return found


def _trained(data: int, network: int, disk: int, device: str) -> Estimate:
    """Of a process that trains; on a GPU, network and batch lie there alone, and the data here as well."""
    return Estimate(PROCESS + data + _here(network, device), disk, CUDA + data + network)


def _here(worked_on: int, device: str) -> int:
    """Bytes of this machine's memory for what a device works on: on a GPU those of CUDA's libraries in its place."""
    return CUDA_PROCESS if worked_on and device != "cpu" else worked_on


def _training(model: ModelRef, recipe: Recipe, shape: Shape, dataset: DatasetRef, images: int) -> tuple[int, int]:
    """Bytes of the data, and of network and batch, without those of the process."""
    from bench.plugins import models
    from bench.training.footprint import footprint

    inputs = shape.image if models.get(model.name).info.inputs == "images" else (WIDTH,)
    values = 1
    for length in inputs:
        values *= length
    data = shape.bytes + images * shape.per_image
    if inputs == (WIDTH,):
        data = 2 * (shape.train + shape.test) * WIDTH * 4
    found = footprint(model, inputs, max(2, dataset.num_classes))
    parameters, activations = found or (0, UNKNOWN_ACTIVATIONS * values)
    batch = max(2, min(recipe.batch_size, images))
    return data, 4 * 4 * parameters + 2 * 4 * batch * (activations + values)


def _fitting(stage: EncoderFit, shape: Shape) -> int:
    """Bytes that the encoder says it takes to be fitted."""
    from bench.plugins import encoders

    entry = encoders.get(stage.encoder.name)
    return entry.info.memory(entry.resolve(stage.encoder.params), shape.train, shape.image)


def _heads(stage: PseudoLabels) -> int:
    """Bytes of TEMI's heads and batches; k-means keeps next to nothing."""
    if stage.clustering != "temi":
        return 0
    heads = stage.heads or 1
    clusters = _MOST_ESTIMATED if stage.num_clusters == "estimate" else stage.num_clusters
    weights = WIDTH * _HIDDEN + _HIDDEN * _BOTTLENECK + _BOTTLENECK * clusters
    batch = _TEMI_BATCH * (_HIDDEN + _BOTTLENECK + 2 * clusters)
    return 4 * heads * (5 * weights + 4 * batch)
