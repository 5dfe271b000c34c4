"""Scoring a test split, normalisation and per-class counts included, against a bare loop over ready tensors."""

from __future__ import annotations

import torch

from bench import Recipe
from bench.identity import ModelRef
from bench.training.fit import fresh_network, make_batches
from bench.training.loop import evaluate
from benchmarks import _data
from benchmarks._common import Meter, Result, timed

TINY = {"size": 200}


def run(meter: Meter, *, size: int = 10_000) -> list[Result]:
    """CIFAR-10's test split in size."""
    dataset = _data.dataset(_data.CLUSTERS, test=size)
    source = make_batches(
        dataset.test.images, dataset.test.labels, recipe=Recipe(), dataset=dataset, device=meter.device
    )
    ready = list(source.in_order())
    small = ModelRef(name="small_cnn")
    model, _ = fresh_network(small, (3, 32, 32), dataset.num_classes, seed=0, device=meter.device)

    @torch.no_grad()
    def bare() -> None:
        model.eval()
        hits = sum((model(batch.inputs).argmax(1) == batch.targets).sum() for batch in ready)
        float(hits)

    return [
        timed(
            f"{size:,} images of 32x32, small_cnn",
            *meter.compare(lambda: evaluate(model, source, 1), bare),
            alternative="bare loop over ready tensors",
            ratio="other / ours",
        )
    ]
