"""Accuracy of the training loop (channels-last, batched augmentation, fp32 and bf16) against a plain fp32 loop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from bench import Dataset, Recipe
from bench.data import Split, take_images
from bench.identity import ModelRef, derive_seed
from bench.loading import load_dataset
from bench.plugins import datasets
from bench.results.stats import paired_difference, summarize
from bench.training.fit import LabelledInputs, build_model, fit, make_batches
from bench.training.loop import evaluate
from benchmarks._common import Meter, Result, Target
from benchmarks._plain_loop import make_loader, train_plainly

TINY = {"size": 100, "iterations": 4, "seeds": 2}
MODEL = ModelRef(name="small_cnn")
PRECISIONS = ("fp32", "bf16")
MARGIN = 1.0
"""Points of accuracy: what the seeds of one method commonly differ by."""


def run(
    meter: Meter, *, root: str | None = None, size: int = 1_000, iterations: int = 300, seeds: int = 20
) -> list[Result]:
    """Real images: MNIST's, which a package ships, and those of CIFAR-10 in ``root``, torchvision's layout.

    A seed gives all loops the same coreset, drawn at random, and the same initial weights; order and augmentation are
    drawn in each loop's own way. Two are equal within noise where the whole 95 % interval of their difference lies
    within ``MARGIN``: more seeds make it narrower, and noise can only make the target harder to meet. The CPU computes
    bf16 too, by the same autocast as a GPU; the order of summation is its own.
    """
    results = []
    for name in ("mnist5k", *(["cifar10"] if root else [])):
        whole = load_dataset(name, {}, root=Path(root) if root else None, download=False, pool_size=None)
        recipe = datasets.get(name).info.recipe.model_copy(update={"batch_size": 64, "evaluations": 1})
        recipes = {precision: recipe.model_copy(update={"precision": precision}) for precision in PRECISIONS}
        ours: dict[str, dict[int, float]] = {precision: {} for precision in PRECISIONS}
        plain = {}
        for seed in range(seeds):
            kept = np.random.default_rng(seed).choice(len(whole.train), size, replace=False)
            train = whole.train
            coreset = replace(whole, train=Split(take_images(train.images, kept), train.labels[kept]))
            plain[seed] = plain_accuracy(coreset, recipes["fp32"], iterations, seed, meter.device)
            for precision in PRECISIONS:
                ours[precision][seed] = our_accuracy(coreset, recipes[precision], iterations, seed, meter.device)
        for precision in PRECISIONS:
            what = f"small_cnn on {size:,} images of {name}, {iterations} iterations, {precision}"
            results += compared(what, ours[precision], plain)
    return results


def our_accuracy(dataset: Dataset, recipe: Recipe, iterations: int, seed: int, device: str) -> float:
    """Test accuracy in percent."""
    [scored] = fit(
        MODEL,
        LabelledInputs(dataset.train.images, dataset.train.labels, dataset.num_classes),
        dataset=dataset,
        recipe=recipe,
        iterations=iterations,
        seed=seed,
        device=device,
        test=LabelledInputs(dataset.test.images, dataset.test.labels, dataset.num_classes),
    )
    return scored.accuracy


def plain_accuracy(dataset: Dataset, recipe: Recipe, iterations: int, seed: int, device: str) -> float:
    """Test accuracy in percent."""
    model = build_model(MODEL, dataset.train.images.shape[1:], dataset.num_classes, derive_seed(seed, "weights"))
    torch.manual_seed(seed)  # torchvision's transforms draw from the global generator
    train_plainly(model.to(device), make_loader(dataset, recipe, seed=seed), recipe, iterations, device)
    test = make_batches(dataset.test.images, dataset.test.labels, recipe=recipe, dataset=dataset, device=device)
    return evaluate(model, test, iterations).accuracy


def compared(what: str, ours: Mapping[int, float], plain: Mapping[int, float]) -> list[Result]:
    """Compare the mean accuracies, and say how far from 0 the 95 % interval of their paired difference reaches."""
    difference = paired_difference(ours, plain)
    assert difference is not None
    assert difference.ci_low is not None
    assert difference.ci_high is not None
    means = [summarize(list(values.values())).mean for values in (ours, plain)]
    low, high = difference.ci_low, difference.ci_high
    return [
        Result(what, means[0], "%", len(ours), other=means[1], alternative="plain fp32 loop"),
        Result(
            f"farthest end of the difference's 95 % interval, {low:+.2f} to {high:+.2f}",
            max(-low, high),
            "points",
            len(ours),
            target=Target("ours", "at most", MARGIN),
        ),
    ]
