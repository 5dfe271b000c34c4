"""The training loop against a bare PyTorch loop over ready tensors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import nn
from torch.nn import functional

from bench import Recipe
from bench.identity import ModelRef
from bench.training.batches import Batch, Batches
from bench.training.fit import fresh_network, make_batches
from bench.training.loop import train
from bench.training.precision import autocast
from benchmarks import _data
from benchmarks._common import Meter, Result, Target, Times, timed

TINY = {"steps": 4}
BATCH = 256


def run(meter: Meter, *, steps: int = 40) -> list[Result]:
    """Time the small network: its steps are the shortest, so a loop adds most; on a GPU the papers' ResNet-18."""
    model = ModelRef(name="small_cnn" if meter.device == "cpu" else "resnet18")
    dataset = _data.dataset(BATCH * steps)
    recipe = Recipe(batch_size=BATCH, precision="bf16" if meter.device != "cpu" else "fp32")
    source = make_batches(
        dataset.train.images, dataset.train.labels, recipe=recipe, dataset=dataset, device=meter.device
    )
    ready = list(source.epoch(torch.Generator().manual_seed(0)))
    results = []
    for what, batches in (("the same ready tensors", Ready(ready)), ("crop, flip and normalisation", source)):
        ours, bare = (
            fresh_network(model, (3, 32, 32), dataset.num_classes, seed=0, device=meter.device)[0] for _ in range(2)
        )
        step = bare_step(bare, ready, recipe, meter.device)
        per_step = by_step if meter.device == "cpu" else by_epoch
        results.append(
            timed(
                f"a step with {what}: {model.name}, 32x32, batch {BATCH}",
                *per_step(partial(our_loop, ours, recipe, steps, meter.device), batches, step, steps, meter),
                alternative="bare loop over ready tensors",
                target=Target("other / ours", "at least", 0.95),
            )
        )
    return results


def our_loop(model: nn.Module, recipe: Recipe, steps: int, device: str, batches: Batches) -> None:
    """One epoch."""
    generator = torch.Generator().manual_seed(0)
    train(model, batches, recipe=recipe, iterations=steps, generator=generator)


def by_step(
    ours: Callable[[Batches], None], batches: Batches, bare: Callable[[int], None], steps: int, meter: Meter
) -> tuple[Times, Times]:
    """Seconds of single steps of both, which alternate."""
    turns = Alternating(batches, bare, meter)
    ours(turns)
    return Times(tuple(turns.ours)), Times(tuple(turns.bare))


def by_epoch(
    ours: Callable[[Batches], None], batches: Batches, bare: Callable[[int], None], steps: int, meter: Meter
) -> list[Times]:
    """Seconds per step over whole epochs: a clock around each step would make a GPU wait, which a loop must not."""
    epochs = meter.compare(lambda: ours(batches), lambda: [bare(number) for number in range(steps)])
    return [Times(tuple(seconds / steps for seconds in times.seconds)) for times in epochs]


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


class Alternating:
    """Batches for our loop that let the bare loop make a step whenever ours asks for a batch, and time both.

    Between two requests our loop makes one step, so the two alternate step by step, and a change of the machine's
    load meets both alike.

    Args:
        batches: what our loop goes through; making a batch is part of our step.
        bare: makes the bare loop's step of that number.
        meter: the clock.
    """

    def __init__(self, batches: Batches, bare: Callable[[int], None], meter: Meter) -> None:
        self._batches, self._bare, self._meter = batches, bare, meter
        self.ours: list[float] = []
        self.bare: list[float] = []

    def __len__(self) -> int:
        return len(self._batches)

    def in_order(self) -> Iterator[Batch]:
        return self._batches.in_order()

    def epoch(self, generator: torch.Generator) -> Iterator[Batch]:
        requested = self._meter.now()
        for number, batch in enumerate(self._batches.epoch(generator)):
            made = self._meter.now()
            self._bare(number)
            handed = self._meter.now()
            yield batch
            done = self._meter.now()
            # Our loop reads one batch ahead: no step lies between the first two requests, and the next warms up.
            if number > 1:
                self.ours.append(made - requested + done - handed)
                self.bare.append(handed - made)
            requested = done


def bare_step(model: nn.Module, ready: list[Batch], recipe: Recipe, device: str) -> Callable[[int], None]:
    """Forward, backward, step, and nothing else."""
    optimiser = torch.optim.SGD(
        model.parameters(),
        lr=recipe.lr,
        momentum=recipe.momentum,
        nesterov=recipe.nesterov,
        weight_decay=recipe.weight_decay,
        fused=device != "cpu",
    )

    def step(number: int) -> None:
        batch = ready[number]
        with autocast(recipe, device):
            loss = functional.cross_entropy(model(batch.inputs), batch.targets)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    return step
