"""Online training dynamics: their share of a proxy epoch, and memory against the number of epochs."""

from __future__ import annotations

import torch
from torch import Tensor

from bench import Recipe
from bench.identity import ModelRef
from bench.training.fit import fresh_network, make_batches
from bench.training.loop import steps_per_epoch, train
from bench.training.recorder import DynamicsRecorder
from benchmarks import _data
from benchmarks._common import Meter, Result, Target, Times, peak_memory, timed

TINY = {"size": 512, "epochs": 12, "pool": 1_000}
BEFORE = 11
"""Epochs that each recorder has seen: the dearest ones follow, in which the windows of Dyn-Unc and DUAL are scored."""


def run(meter: Meter, *, size: int = 5_120, epochs: int = 100, pool: int = 50_000) -> list[Result]:
    """Measure the recorder's own time in an epoch, since the difference of two epochs is noisier than 3 % of one.

    The small network: the recorder costs the same beside every network, and no other is faster. On a GPU the papers'
    ResNet-18.
    """
    model = ModelRef(name="small_cnn" if meter.device == "cpu" else "resnet18")
    recorded, rest = shares(meter, model, size)
    share = timed(
        f"dynamics in an epoch of {model.name}, {size:,} images of 32x32, batch 256",
        recorded,
        rest,
        alternative="the rest of the epoch",
        target=Target("ours / other", "at most", 0.03),
    )
    short, long = (peak_memory(record_only, size=pool, classes=100, epochs=count) for count in (epochs // 10, epochs))
    memory = Result(
        f"peak memory of a process that records {epochs} epochs of {pool:,} images in 100 classes",
        long,
        "GB",
        1,
        other=short,
        alternative=f"{epochs // 10} epochs",
        target=Target("ours / other", "at most", 1.02),
    )
    return [share, memory]


def shares(meter: Meter, network: ModelRef, size: int) -> tuple[Times, Times]:
    """Seconds per epoch inside the recorder, and outside."""
    dataset = _data.dataset(size)
    recipe = Recipe(precision="bf16" if meter.device != "cpu" else "fp32")
    model, _ = fresh_network(network, (3, 32, 32), dataset.num_classes, seed=0, device=meter.device)
    batches = make_batches(
        dataset.train.images, dataset.train.labels, recipe=recipe, dataset=dataset, device=meter.device
    )
    inside, outside = [], []
    for repetition in range(1 + (meter.repeats or 5)):
        recorder = TimedRecorder(size, meter)
        start = meter.now()
        train(
            model,
            batches,
            recipe=recipe,
            iterations=steps_per_epoch(size, recipe.batch_size),
            generator=torch.Generator().manual_seed(repetition),
            recorder=recorder,
        )
        if repetition:  # The first warms up.
            inside.append(recorder.seconds)
            outside.append(meter.now() - start - recorder.seconds)
    return Times(tuple(inside)), Times(tuple(outside))


class TimedRecorder(DynamicsRecorder):
    """A recorder that adds up the time it takes, after ``BEFORE`` epochs."""

    def __init__(self, size: int, meter: Meter) -> None:
        super().__init__(size, meter.device)
        self.seconds = 0.0
        self._meter = meter
        for _ in range(BEFORE):
            self.end_epoch()

    def update(self, positions: Tensor, logits: Tensor, targets: Tensor) -> None:
        start = self._meter.now()
        super().update(positions, logits, targets)
        self.seconds += self._meter.now() - start


def record_only(size: int, classes: int, epochs: int) -> None:
    """Record random logits, in a process of its own."""
    recorder, targets = DynamicsRecorder(size, "cpu"), torch.arange(size) % classes
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(1024, classes, generator=generator)
    for _ in range(epochs):
        for part in torch.arange(size).split(1024):
            recorder.update(part, logits[: len(part)], targets[part])
        recorder.end_epoch()
    recorder.result()
