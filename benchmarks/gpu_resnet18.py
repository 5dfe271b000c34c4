"""ResNet-18 on a GPU in bf16: images per second, and the share of the device's measured matrix rate."""

from __future__ import annotations

import torch
from torch.utils.flop_counter import FlopCounterMode

from bench import Recipe
from bench.refs import ModelRef
from bench.training.fit import build_model, make_batches
from bench.training.loop import steps_per_epoch, train
from benchmarks import _data
from benchmarks._common import Meter, Result, Skip, Target

TINY = {"size": 1_024, "side": 1_024}


def run(meter: Meter, *, size: int = 50_000, side: int = 8_192) -> list[Result]:
    """Whole epochs of our loop, augmentation included; a matrix product of ``side`` cubed for the device's rate."""
    if not torch.cuda.is_available():
        raise Skip("no GPU")
    meter = Meter(meter.repeats, "wall", "cuda", meter.threads)
    dataset, recipe = _data.dataset(size), Recipe(precision="bf16")
    model = build_model(ModelRef(name="resnet18"), (3, 32, 32), dataset.num_classes, 0).cuda()
    model = model.to(memory_format=torch.channels_last)
    batches = make_batches(dataset.train.images, dataset.train.labels, recipe=recipe, dataset=dataset, device="cuda")
    steps = steps_per_epoch(size, recipe.batch_size)
    left, right = (torch.randn(side, side, device="cuda", dtype=torch.bfloat16) for _ in range(2))

    def epoch() -> None:
        train(
            model,
            batches,
            recipe=recipe,
            iterations=steps,
            generator=torch.Generator().manual_seed(0),
            device="cuda",
        )

    epochs, products = meter.compare(epoch, lambda: [left @ right for _ in range(10)])
    rate = 10 * 2 * side**3 / products.best
    used = flops_per_image(model) * size / epochs.best
    minutes = 40_000 * epochs.best / steps / 60
    n = epochs.count
    return [
        Result(f"training, batch {recipe.batch_size}", size / epochs.best, "images/s", n),
        Result("arithmetic", used / 1e12, "TFLOP/s", n, other=rate / 1e12, alternative="bf16 matrix product"),
        Result("40,000 iterations (first goal)", minutes, "min", n, target=Target("ours", "at most", 7)),
        Result("40,000 iterations (second goal)", minutes, "min", n, target=Target("ours", "at most", 3)),
    ]


def flops_per_image(model: torch.nn.Module) -> float:
    """Floating-point operations of forward and backward, counted by torch."""
    counter = FlopCounterMode(display=False)
    with counter:
        model(torch.zeros(2, 3, 32, 32, device="cuda")).sum().backward()
    model.zero_grad()
    return counter.get_total_flops() / 2
