"""A small network trained on digits, as the tests of the training loop ask for it."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from bench import Dataset, Recipe
from bench.identity import ModelRef
from bench.training.batches import Batches
from bench.training.fit import build_model, fresh_network, make_batches
from bench.training.loop import train
from bench.training.recorder import DynamicsRecorder
from tests.narrowing import in_memory

CNN, PROBE, SPEEDRUN = (ModelRef(name=name) for name in ("small_cnn", "linear_probe", "speedrun"))
RECIPE = Recipe(
    iterations=20, proxy_epochs=12, batch_size=32, lr=0.05, augmentation="crop", crop_padding=1, evaluations=4
)
MEAN, STD = (0.3,), (0.4,)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def batches_of(dataset: Dataset, split: str = "train", recipe: Recipe = RECIPE) -> Batches:
    part = getattr(dataset, split)
    return make_batches(part.images, part.labels, recipe=recipe, dataset=dataset, device="cpu")


def run(
    dataset: Dataset, *, iterations: int = 20, seed: int = 0, test: bool = True, recipe: Recipe = RECIPE, **more: Any
) -> tuple[dict[str, torch.Tensor], list[Any]]:
    """Train a small network; its weights and evaluations."""
    model = build_model(CNN, (1, 8, 8), 10, seed)
    scored = train(
        model,
        batches_of(dataset, recipe=recipe),
        recipe=recipe,
        iterations=iterations,
        generator=generator(seed),
        test=batches_of(dataset, "test") if test else None,
        **more,
    )
    return {name: value.clone() for name, value in model.state_dict().items()}, scored


class Listening(DynamicsRecorder):
    """Keeps every output beside the running numbers."""

    def __init__(self, size: int, classes: int, epochs: int) -> None:
        super().__init__(size, "cpu")
        self.logits = np.full((epochs, size, classes), np.nan)
        self.now = 0

    def update(self, positions: torch.Tensor, logits: torch.Tensor, targets: torch.Tensor) -> None:
        self.logits[self.now, positions.numpy()] = logits.float().numpy()
        super().update(positions, logits, targets)

    def end_epoch(self) -> None:
        self.now += 1
        super().end_epoch()


def first_images(dataset: Dataset, size: int = 40, inputs: np.ndarray | None = None) -> Batches:
    """Batches of the first images, or of other inputs for them."""
    inputs = in_memory(dataset.train.images) if inputs is None else inputs
    labels = dataset.train.labels[:size]
    return make_batches(inputs[:size], labels, recipe=RECIPE, dataset=dataset, device="cpu")


def trained(dataset: Dataset, name: str, steps: int = 6, inputs: np.ndarray | None = None) -> tuple[Any, Batches]:
    """A network after a few steps on the first images, and those."""
    batches = first_images(dataset, inputs=inputs)
    shape = (dataset.train.images if inputs is None else inputs).shape[1:]
    network, source = fresh_network(ModelRef(name=name), shape, 10, seed=3, device="cpu")
    if steps:
        train(network, batches, recipe=RECIPE, iterations=steps, generator=source)
    return network, batches
