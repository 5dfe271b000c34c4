"""What ``precision=auto`` gains where a CPU or GPU computes in bf16: the training loop in fp32, and in bf16."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from bench import Recipe
from bench.identity import ModelRef
from bench.recipe import Precision
from bench.training.fit import fresh_network, make_batches
from bench.training.loop import train
from benchmarks import _data
from benchmarks._common import Meter, Result, timed

TINY = {"cases": [["linear_probe", [16], 16, 2], ["small_cnn", [3, 8, 8], 16, 2]]}
CASES = [
    ["resnet18", [3, 32, 32], 32, 3],
    ["small_cnn", [3, 32, 32], 256, 8],
    ["small_cnn", [3, 8, 8], 64, 40],
    ["linear_probe", [384], 256, 80],
]
"""Model, shape of an input, batch size, steps; from the largest to what is too small to gain."""


def run(meter: Meter, *, cases: list[list] = CASES) -> list[Result]:
    """Time steps of every case in both precisions; above 1 bf16 is faster."""
    results = []
    for model, shape, batch, steps in cases:
        both = (training(model, tuple(shape), batch, steps, precision, meter.device) for precision in ("bf16", "fp32"))
        size = "x".join(map(str, shape))
        what = f"{steps} steps of {model}, {size}, batch {batch}, bf16"
        results.append(timed(what, *meter.compare(*both), alternative="fp32", ratio="other / ours"))
    return results


def training(
    model: str, shape: tuple[int, ...], batch: int, steps: int, precision: Precision, device: str
) -> Callable[[], object]:
    """One epoch over random inputs; images are cropped and mirrored."""
    drawn = np.random.default_rng(0)
    labels = drawn.integers(_data.CLUSTERS, size=batch * steps)
    of_images = len(shape) == 3
    size = (batch * steps, *shape)
    inputs = drawn.integers(256, size=size, dtype=np.uint8) if of_images else drawn.standard_normal(size, np.float32)
    dataset = _data.dataset(_data.CLUSTERS) if of_images else None
    recipe = Recipe(batch_size=batch, precision=precision, augmentation="crop-flip" if of_images else "none")
    batches = make_batches(inputs, labels, recipe=recipe, dataset=dataset, device=device)
    network, generator = fresh_network(ModelRef(name=model), shape, _data.CLUSTERS, seed=0, device=device)
    return lambda: train(network, batches, recipe=recipe, iterations=steps, generator=generator)
