"""Uses of a proxy: training dynamics, rehearsals of coresets, and outputs for the pool."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench.data import Dataset, take_images
from bench.dynamics import Dynamics
from bench.identity import Proxy, derive_seed
from bench.pool import Outputs
from bench.progress import Progress
from bench.training.fit import Inputs, LabelledInputs, fit, fresh_network, make_batches, proxy_iterations, seeded
from bench.training.loop import steps_per_epoch, train
from bench.training.outputs import read_outputs
from bench.training.recorder import DynamicsRecorder

HELD_OUT = 0.1
"""Share of the pool that rehearsals are scored on; a convention."""


def observe_dynamics(
    proxy: Proxy,
    inputs: Inputs,
    targets: NDArray[np.int64],
    *,
    num_classes: int,
    dataset: Dataset | None,
    seed: int,
    device: str,
    progress: Progress | None = None,
) -> Dynamics:
    """Return the training dynamics of the proxy on the whole pool.

    Args:
        proxy: network and recipe.
        inputs: uint8 images [N, C, H, W] or float32 embeddings [N, D].
        targets: int64 [N], labels or pseudo-labels.
        num_classes: outputs of the network.
        dataset: provides the normalisation of images; None for embeddings.
        seed: seed of the cell.
        device: ``cpu`` or ``cuda``.
        progress: called with (steps done, steps in all).
    """
    recorder = DynamicsRecorder(len(targets), device)
    fit(
        proxy.model,
        LabelledInputs(inputs, targets, num_classes),
        dataset=dataset,
        recipe=proxy.recipe,
        iterations=proxy_iterations(proxy.recipe, len(targets)),
        seed=derive_seed(seed, "proxy"),
        device=device,
        recorder=recorder,
        progress=progress,
    )
    return recorder.result()


def rehearse(
    proxy: Proxy,
    inputs: Inputs,
    targets: NDArray[np.int64],
    indices: NDArray[np.int64],
    *,
    num_classes: int,
    dataset: Dataset | None,
    seed: int,
    device: str,
) -> float:
    """Return the accuracy on a fixed held-out tenth of the pool after training on the targets at ``indices`` only.

    Args:
        proxy: network and recipe.
        inputs: inputs of the whole pool, see ``observe_dynamics``.
        targets: int64 [N].
        indices: int64, a candidate coreset; its held-out images are not trained on.
        num_classes: outputs of the network.
        dataset: see ``observe_dynamics``.
        seed: seed of the cell, which also draws the held-out tenth.
        device: ``cpu`` or ``cuda``.

    Returns:
        Accuracy in [0, 1]; 0 if fewer than 2 images are left to train on.
    """
    # Drawn by the cell's seed only: every candidate is scored on the same images.
    shuffled = np.random.default_rng(derive_seed(seed, "held-out")).permutation(len(targets))
    held_out = np.sort(shuffled[: max(1, round(HELD_OUT * len(targets)))])
    kept = np.setdiff1d(indices, held_out)
    if len(kept) < 2:
        return 0.0
    # Only the last accuracy is used; earlier evaluations would take time.
    recipe = proxy.recipe.model_copy(update={"evaluations": 1})
    scored = fit(
        proxy.model,
        LabelledInputs(take_images(inputs, kept), targets[kept], num_classes),
        dataset=dataset,
        recipe=recipe,
        iterations=proxy_iterations(recipe, len(kept)),
        seed=derive_seed(seed, "rehearsal"),
        device=device,
        test=LabelledInputs(take_images(inputs, held_out), targets[held_out], num_classes),
    )
    return scored[-1].accuracy / 100


def trained_outputs(
    proxy: Proxy,
    inputs: Inputs,
    indices: NDArray[np.int64],
    labels: NDArray[np.int64],
    *,
    num_classes: int,
    dataset: Dataset | None,
    seed: int,
    device: str,
    epochs: int | None = None,
) -> Outputs:
    """Return the outputs for the whole pool of the proxy's network, trained on the labelled images.

    Args:
        proxy: network and recipe.
        inputs: inputs of the whole pool, see ``observe_dynamics``.
        indices: int64 [m], the labelled images; with fewer than 2 the network keeps its initial weights.
        labels: int64 [m], their labels.
        num_classes: outputs of the network.
        dataset: see ``observe_dynamics``.
        seed: seed of the cell.
        device: ``cpu`` or ``cuda``.
        epochs: passes over the labelled images, under the schedule of the whole proxy and at most the proxy's; None is
            the proxy's number.
    """
    recipe = proxy.recipe
    # Batches need targets. Zeros stand in for them, so that no label of the pool can leak.
    unlabelled = np.zeros(len(inputs), dtype=np.int64)
    pool = make_batches(inputs, unlabelled, recipe=recipe, dataset=dataset, device=device)
    network, generator = fresh_network(
        proxy.model, inputs.shape[1:], num_classes, seed=derive_seed(seed, "outputs"), device=device, sample=pool
    )
    if len(indices) >= 2:
        batches = make_batches(take_images(inputs, indices), labels, recipe=recipe, dataset=dataset, device=device)
        horizon = proxy_iterations(recipe, len(indices))
        steps = horizon
        if epochs is not None:
            steps = min(epochs, recipe.proxy_epochs) * steps_per_epoch(len(indices), recipe.batch_size)
        if steps:
            with seeded(derive_seed(seed, "outputs"), device):
                train(network, batches, recipe=recipe, iterations=steps, horizon=horizon, generator=generator)
    return read_outputs(network, pool)
