"""A GPU must not wait for the host within an epoch. Meta tensors stand for it here: every operator shows itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from bench import Recipe
from bench.clustering.temi import Effort, temi
from bench.identity import ModelRef
from bench.recipe import Augmentation
from bench.training import loop
from bench.training.batches import TensorBatches
from bench.training.fit import fresh_network
from bench.training.loop import train
from bench.training.recorder import DynamicsRecorder
from bench.training.siamese import Schedule, SiameseHeads, train_siamese

pytestmark = pytest.mark.integration

SIZE = 64
LOOKS = {"_local_scalar_dense", "is_nonzero", "equal"}
SIZED_BY_VALUES = {"nonzero", "masked_select", "bincount", "unique", "_unique2", "repeat_interleave"}


class Waits(TorchDispatchMode):
    """Counts what makes the host wait for the device: values looked at, and copies between the two that block."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = func.overloadpacket.__name__
        given = [value for value in tree_leaves((args, kwargs)) if isinstance(value, torch.Tensor)]
        devices = {value.device.type for value in given} | {torch.device(kwargs.get("device") or "cpu").type}
        if name in LOOKS and "meta" in devices:
            self.seen["look"] += 1
            return True  # a finite number too
        if name in SIZED_BY_VALUES and "meta" in devices:
            self.seen[name] += 1
        if name == "index" and any(v.dtype == torch.bool for v in given[1:]) and "meta" in devices:
            self.seen["boolean index"] += 1
        copies = name == "_to_copy" or name == "copy_"
        if copies and "meta" in devices and any(value.device.type == "cpu" and value.dim() for value in given):
            blocks = not (kwargs.get("non_blocking") or (name == "copy_" and len(args) > 2 and args[2]))
            self.seen["blocking copy" if blocks else "copy"] += 1
        return func(*args, **kwargs)


def waits(work: Callable[[int], None], epochs: int) -> Counter[str]:
    """How often ``work`` of so many epochs waits, that it sets up and ends included."""
    with Waits() as counting:
        work(epochs)
    return counting.seen


def further_epoch(work: Callable[[int], None]) -> Counter[str]:
    """What one epoch more adds."""
    few, more = waits(work, 2), waits(work, 3)
    assert not few - more
    return more - few


class Stop(Exception):
    """Training is over; what would follow looks at its results."""


def stop_at_end(done: int, total: int) -> None:
    if done == total:
        raise Stop


@pytest.fixture(autouse=True)
def look_at_every_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "LOOK_EVERY", 1)


@pytest.mark.parametrize("augmentation", ["none", "crop", "crop-flip", "crop-alternating-flip", "resized-crop-flip"])
def test_training_with_dynamics_looks_once_per_epoch(augmentation: Augmentation) -> None:
    recipe = Recipe(batch_size=16, augmentation=augmentation, crop_padding=1)
    images = torch.zeros(SIZE, 3, 8, 8, dtype=torch.uint8)
    targets = torch.arange(SIZE) % 10

    def work(epochs: int) -> None:
        source = TensorBatches(images, targets, recipe=recipe, mean=(0.5,) * 3, std=(0.2,) * 3, device="meta")
        network, generator = fresh_network(ModelRef(name="small_cnn"), (3, 8, 8), 10, seed=0, device="meta")
        steps, recorder = 4 * epochs, DynamicsRecorder(SIZE, "meta")
        train(network, source, recipe=recipe, iterations=steps, generator=generator, recorder=recorder)

    added = further_epoch(work)
    assert added["copy"] >= 4  # the order of each of its batches, or this test sees nothing
    assert added.keys() == {"look", "copy"}
    assert added["look"] == 1


def test_a_clustering_looks_once_per_epoch() -> None:
    embeddings = np.random.default_rng(0).normal(size=(SIZE, 4)).astype(np.float32)
    near = np.tile(np.arange(3), (SIZE, 1))

    def work(epochs: int) -> None:
        with pytest.raises(Stop):
            temi(
                embeddings, near, 3, Effort(heads=2, epochs=epochs, batch_size=16), device="meta", progress=stop_at_end
            )

    added = further_epoch(work)
    assert added["copy"] >= 2 * 4
    assert added.keys() == {"look", "copy"}
    assert added["look"] == 1


@pytest.mark.parametrize("channels", [1, 3])
def test_simsiam_looks_once_per_epoch(channels: int) -> None:
    images = torch.zeros(SIZE, channels, 16, 16, dtype=torch.uint8, device="meta")

    def work(epochs: int) -> None:
        backbone = nn.Sequential(nn.Conv2d(3, 8, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()).to("meta")
        schedule, generator = Schedule(epochs=epochs, batch_size=16, lr=0.05), torch.Generator().manual_seed(0)
        with pytest.raises(Stop):
            train_siamese(
                backbone,
                SiameseHeads(8).to("meta"),
                images,
                schedule=schedule,
                generator=generator,
                progress=stop_at_end,
            )

    added = further_epoch(work)
    assert added["copy"] >= 4 * 4
    assert added.keys() == {"look", "copy"}
    assert added["look"] == 1
