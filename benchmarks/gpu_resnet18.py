"""ResNet-18 on a GPU in bf16: images per second, and the share of the device's measured matrix rate."""

from __future__ import annotations

from statistics import median

import torch
from torch.utils.flop_counter import FlopCounterMode

from bench import Recipe
from bench.identity import ModelRef
from bench.training.fit import fresh_network, make_batches
from bench.training.loop import evaluate, steps_per_epoch, train
from bench.training.precision import products
from benchmarks import _data
from benchmarks._common import Meter, Result, Skip, Target

TINY = {"size": 1_024, "side": 1_024}
PRODUCTS = 500
"""Long enough for the GPU's clocks to settle, as they do in an epoch."""


def run(meter: Meter, *, size: int = 50_000, side: int = 8_192) -> list[Result]:
    """Whole epochs of our loop, augmentation included; a matrix product of ``side`` cubed for the device's rate."""
    if meter.device == "cpu" or not torch.cuda.is_available():
        raise Skip("no GPU, or no --device cuda")
    dataset, recipe = _data.dataset(size, test=10_000), Recipe(precision="bf16")
    model, _ = fresh_network(ModelRef(name="resnet18"), (3, 32, 32), dataset.num_classes, seed=0, device="cuda")
    batches = make_batches(dataset.train.images, dataset.train.labels, recipe=recipe, dataset=dataset, device="cuda")
    steps = steps_per_epoch(size, recipe.batch_size)
    left, right, product = (torch.randn(side, side, device="cuda", dtype=torch.bfloat16) for _ in range(3))

    def epoch() -> None:
        train(model, batches, recipe=recipe, iterations=steps, generator=torch.Generator().manual_seed(0))

    test = make_batches(dataset.test.images, dataset.test.labels, recipe=recipe, dataset=dataset, device="cuda")

    def score() -> None:
        with products(recipe, scoring=True):
            evaluate(model, test, 1)

    epochs, evaluations, matrices = meter.compare(
        epoch, score, lambda: [torch.mm(left, right, out=product) for _ in range(PRODUCTS)]
    )
    rate = PRODUCTS * 2 * side**3 / matrices.best
    used = flops_per_image(model) * size / epochs.best
    # The middle of the repetitions: a whole training is not made of its best epoch.
    usual = median(epochs.seconds), median(evaluations.seconds)
    minutes = (40_000 * usual[0] / steps + recipe.evaluations * usual[1]) / 60
    n, whole = epochs.count, f"40,000 iterations and {recipe.evaluations} evaluations"
    return [
        Result(f"training, batch {recipe.batch_size}", size / epochs.best, "images/s", n),
        Result("arithmetic", used / 1e12, "TFLOP/s", n, other=rate / 1e12, alternative="bf16 matrix product"),
        Result("evaluation of 10,000 images", evaluations.best, "s", n),
        Result(f"{whole} (first goal)", minutes, "min", n, target=Target("ours", "at most", 7)),
        Result(f"{whole} (second goal)", minutes, "min", n, target=Target("ours", "at most", 3)),
    ]


def flops_per_image(model: torch.nn.Module) -> float:
    """Floating-point operations of forward and backward, counted by torch."""
    counter = FlopCounterMode(display=False)
    with counter:
        model(torch.zeros(2, 3, 32, 32, device="cuda")).sum().backward()
    model.zero_grad()
    return counter.get_total_flops() / 2
