"""What a proxy is trained for: its training dynamics, how well part of the pool predicts the rest, its outputs."""

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
    """Train the proxy on the whole pool and record its dynamics.

    Args:
        proxy: network and recipe.
        inputs: uint8 images [N, C, H, W] or float32 embeddings [N, D].
        targets: int64 [N], labels or pseudo-labels.
        num_classes: outputs of the network.
        dataset: gives the normalisation of images; None for embeddings.
        seed: the cell's.
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
    """Train the proxy's network on the targets at ``indices`` only, and score it on a fixed held-out tenth.

    Args:
        proxy: network and recipe.
        inputs: of the whole pool, as in ``observe_dynamics``.
        targets: int64 [N].
        indices: int64, a candidate coreset; what of it is held out is not trained on.
        num_classes: outputs of the network.
        dataset: as in ``observe_dynamics``.
        seed: the cell's; it draws the held-out tenth.
        device: ``cpu`` or ``cuda``.

    Returns:
        Accuracy in [0, 1]; 0 where fewer than 2 images are left to train on.
    """
    # From the cell's seed alone: every candidate is scored on the same images, whichever it keeps.
    shuffled = np.random.default_rng(derive_seed(seed, "held-out")).permutation(len(targets))
    held_out = np.sort(shuffled[: max(1, round(HELD_OUT * len(targets)))])
    kept = np.setdiff1d(indices, held_out)
    if len(kept) < 2:
        return 0.0
    # The last accuracy is all that is read; others on the way would only take time.
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
    """Train the proxy's network on labelled images; return what it says of the whole pool.

    Args:
        proxy: network and recipe.
        inputs: of the whole pool, as in ``observe_dynamics``.
        indices: int64 [m], the labelled images; fewer than 2 leave the initial weights as they are.
        labels: int64 [m], theirs.
        num_classes: outputs of the network.
        dataset: as in ``observe_dynamics``.
        seed: the cell's.
        device: ``cpu`` or ``cuda``.
        epochs: passes over the labelled images, under the schedule of the whole proxy and at most the proxy's; None is
            the proxy's.
    """
    recipe = proxy.recipe
    # Batches carry targets; these are not read, so that no label of the pool can get in.
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
