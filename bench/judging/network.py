"""The network judge: how well the proxy's network, trained on a coreset, predicts clusterings outside the coreset.

A method of this project. One network learns all labelings of a coreset at once, with a head for each.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from bench.data import Dataset, take_images
from bench.identity import Proxy, derive_seed
from bench.judging.judges import SHARE
from bench.progress import Progress
from bench.training.batches import Batch, Batches
from bench.training.fit import Inputs, fresh_network, make_batches, proxy_iterations, seeded
from bench.training.loop import Loss, train
from bench.training.precision import products


def qualities(
    proxy: Proxy,
    inputs: Inputs,
    labelings: NDArray[np.int64],
    candidates: Sequence[NDArray[np.int64]],
    *,
    dataset: Dataset | None,
    seed: int,
    device: str,
    steps: int | None = None,
    progress: Progress | None = None,
) -> NDArray[np.float64]:
    """Return how well a network trained on each candidate predicts all labelings outside it.

    Args:
        proxy: network and recipe; all candidates share the initial weights.
        inputs: uint8 images [N, C, H, W] or float32 embeddings [N, D].
        labelings: int64 [L, N], from ``make_labelings``.
        candidates: m coresets, each int64 [n].
        dataset: provides the normalisation of images; None for embeddings.
        seed: seed of the cell.
        device: ``cpu`` or ``cuda``.
        steps: optimiser steps for each candidate; None divides ``SHARE`` of the proxy's steps among all.
        progress: called with (steps done, steps of all candidates).

    Returns:
        float64 [m]: mean accuracy over the labelings in [0, 1], high = good. 1 for the whole pool, which leaves nothing
        to predict; 0 for fewer than 2 images, which cannot train a network.
    """
    if steps is None:
        # The same number for every candidate, whatever its size; more candidates must not cost more.
        steps = max(1, int(SHARE * proxy_iterations(proxy.recipe, len(inputs)) / len(candidates)))
    judge_seed, heads = derive_seed(seed, "judge"), (labelings.max(axis=1) + 1).tolist()
    accuracies = np.empty(len(candidates))

    def batches(rows: NDArray[np.int64]) -> Batches:
        targets = np.ascontiguousarray(labelings[:, rows].T)
        return make_batches(take_images(inputs, rows), targets, recipe=proxy.recipe, dataset=dataset, device=device)

    for number, indices in enumerate(candidates):
        # Only outside: accuracy on the coreset itself only shows how well a network memorises.
        outside = np.setdiff1d(np.arange(len(inputs)), indices)
        if not len(outside) or len(indices) < 2:
            accuracies[number] = float(not len(outside))
            continue
        kept = batches(indices)
        told = None if progress is None else partial(_told, progress, number * steps, len(candidates) * steps)
        # One seed for all candidates, so that they do not differ in initial weights.
        network, generator = fresh_network(
            proxy.model, inputs.shape[1:], sum(heads), seed=judge_seed, device=device, sample=kept
        )
        with seeded(derive_seed(judge_seed, "layers"), device):
            train(
                network,
                kept,
                recipe=proxy.recipe,
                iterations=steps,
                generator=generator,
                progress=told,
                loss=loss_of(heads),
            )
        with products(proxy.recipe, scoring=True):
            accuracies[number] = _accuracy(network, batches(outside), heads)
    return accuracies


def _told(progress: Progress, before: int, total: int, done: int, part: int) -> None:
    """Report the progress of one candidate's training as progress of all."""
    progress(before + done, total)


def loss_of(heads: Sequence[int]) -> Loss:
    """Return a loss: the mean cross-entropy over the heads, for logits [B, sum of heads] and targets int64 [B, L]."""

    def loss(logits: Tensor, batch: Batch, smoothing: float) -> Tensor:
        parts = zip(logits.split(list(heads), 1), batch.targets.unbind(1), strict=True)
        losses = [functional.cross_entropy(part, labels, label_smoothing=smoothing) for part, labels in parts]
        return torch.stack(losses).mean()

    return loss


@torch.no_grad()
def _accuracy(network: nn.Module, batches: Batches, heads: Sequence[int]) -> float:
    """Return the mean accuracy over heads and images, in evaluation mode and without augmentation."""
    network.eval()
    # Counted on the device and read once: reading every batch would make a GPU wait for the host.
    right = torch.zeros((), device=next(network.parameters()).device, dtype=torch.int64)
    for batch in batches.in_order():
        guesses = torch.stack([part.argmax(1) for part in network(batch.inputs).split(list(heads), 1)], 1)
        right += (guesses == batch.targets).sum()
    return right.item() / (len(batches) * len(heads))
