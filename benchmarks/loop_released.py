"""The training loop against one in the style of released code: per-image PIL transforms in a DataLoader."""

from __future__ import annotations

import torch

from bench import Recipe
from bench.identity import ModelRef
from bench.training.fit import build_model, make_batches
from bench.training.loop import steps_per_epoch, train
from benchmarks import _data
from benchmarks._common import Meter, Result, Target, timed
from benchmarks._plain_loop import make_loader, train_plainly

TINY = {"size": 512}


def run(meter: Meter, *, size: int = 5_120) -> list[Result]:
    """One epoch of each, same network, batch and augmentation; the DataLoader works in this process, like our loop."""
    dataset, recipe = _data.dataset(size), Recipe(precision="bf16" if meter.device != "cpu" else "fp32")
    model = build_model(ModelRef(name="small_cnn"), (3, 32, 32), dataset.num_classes, 0).to(meter.device)
    batches = make_batches(
        dataset.train.images, dataset.train.labels, recipe=recipe, dataset=dataset, device=meter.device
    )
    loader = make_loader(dataset, recipe)

    def ours() -> None:
        train(
            model.to(memory_format=torch.channels_last),
            batches,
            recipe=recipe,
            iterations=steps_per_epoch(size, recipe.batch_size),
            generator=torch.Generator().manual_seed(0),
        )

    def plain() -> None:
        train_plainly(model.to(memory_format=torch.contiguous_format), loader, recipe, len(loader), meter.device)

    return [
        timed(
            f"an epoch of small_cnn on {size:,} images of 32x32, batch {recipe.batch_size}",
            *meter.compare(ours, plain),
            alternative="PIL transforms in a DataLoader",
            target=Target("other / ours", "at least", 2),
        )
    ]
