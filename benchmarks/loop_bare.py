"""The training loop against a bare PyTorch loop over ready tensors."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import nn
from torch.nn import functional

from bench import Recipe
from bench.refs import ModelRef
from bench.training.batches import Batch, Batches
from bench.training.fit import build_model, make_batches
from bench.training.loop import precision, train
from benchmarks import _data
from benchmarks._common import Meter, Result, Target, timed

TINY = {"size": 512}
TARGET = Target("other / ours", "at least", 0.95)


class Ready:
    """Batches that are there already."""

    def __init__(self, batches: list[Batch]) -> None:
        self._batches = batches

    def __len__(self) -> int:
        return sum(len(batch.targets) for batch in self._batches)

    def epoch(self, generator: torch.Generator) -> Iterator[Batch]:
        return iter(self._batches)

    def in_order(self) -> Iterator[Batch]:
        return iter(self._batches)


def run(meter: Meter, *, size: int = 10_240) -> list[Result]:
    """The small network: its steps are the shortest, so what a loop adds weighs most."""
    dataset, recipe = _data.dataset(size), Recipe(precision="bf16" if meter.device != "cpu" else "fp32")
    source = make_batches(
        dataset.train.images, dataset.train.labels, recipe=recipe, dataset=dataset, device=meter.device
    )
    ready = Ready(list(source.epoch(torch.Generator().manual_seed(0))))
    model = build_model(ModelRef(name="small_cnn"), (3, 32, 32), dataset.num_classes, 0).to(meter.device)
    model = model.to(memory_format=torch.channels_last)

    def ours(batches: Batches) -> Callable[[], object]:
        steps = len(list(ready.in_order()))
        return lambda: train(
            model,
            batches,
            recipe=recipe,
            iterations=steps,
            generator=torch.Generator().manual_seed(0),
            device=meter.device,
        )

    same, augmented, bare = meter.compare(
        ours(ready), ours(source), lambda: bare_loop(model, ready, recipe, meter.device), repeats=7
    )
    where = f"small_cnn, {size:,} images of 32x32, batch {recipe.batch_size}"
    bare_name = "bare loop over ready tensors"
    return [
        timed(f"an epoch over the same ready tensors: {where}", same, bare, alternative=bare_name, target=TARGET),
        timed(
            f"an epoch with crop, flip and normalisation: {where}",
            augmented,
            bare,
            alternative=bare_name,
            target=TARGET,
        ),
    ]


def bare_loop(model: nn.Module, ready: Ready, recipe: Recipe, device: str) -> None:
    """Forward, backward, step, and nothing else."""
    model.train()
    optimiser = torch.optim.SGD(
        model.parameters(),
        lr=recipe.lr,
        momentum=recipe.momentum,
        nesterov=recipe.nesterov,
        weight_decay=recipe.weight_decay,
        fused=device != "cpu",
    )
    for batch in ready.in_order():
        with precision(recipe, device):
            loss = functional.cross_entropy(model(batch.inputs), batch.targets)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
