"""Norms of each image's loss gradient, for one trained network or as the mean early in training (GraNd)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.nn import functional

from bench.data import Dataset
from bench.identity import Proxy, derive_seed
from bench.parts import EarlyGradients, Layers
from bench.progress import Progress
from bench.training.batches import Batches
from bench.training.fit import Inputs, fresh_network, make_batches, proxy_iterations, seeded
from bench.training.loop import steps_per_epoch, train
from bench.training.outputs import forward_batches, last_linear

HELD_ON_CPU, HELD_ON_GPU = 2**27, 2**30
"""Gradient entries in memory at once: half a GB in float32, or 4.3 GB on a GPU, which few entries would leave idle."""
_IMAGES = 256
"""Images whose gradients are in memory at once: in a small network, activations take more memory than gradients."""


def mean_norms(
    proxy: Proxy,
    inputs: Inputs,
    targets: NDArray[np.int64],
    *,
    num_classes: int,
    dataset: Dataset | None,
    options: EarlyGradients,
    seed: int,
    device: str,
    progress: Progress | None = None,
) -> NDArray[np.float32]:
    """Return each image's gradient norm after a few epochs, averaged over new networks (GraNd, Paul et al. 2021).

    Args:
        proxy: network and recipe.
        inputs: see ``observe_dynamics``.
        targets: int64 [N].
        num_classes: outputs of a network.
        dataset: see ``observe_dynamics``.
        options: number of networks, each with its own weights and order; epochs before the gradients are taken, under
            the schedule of the whole proxy and at most the proxy's; layers, see ``norms_of``.
        seed: seed of the cell.
        device: ``cpu`` or ``cuda``.
        progress: called with (networks done, networks in all).

    Returns:
        float32 [N], high = hard.
    """
    recipe, size = proxy.recipe, len(targets)
    batches = make_batches(inputs, targets, recipe=recipe, dataset=dataset, device=device)
    iterations = min(options.epochs, recipe.proxy_epochs) * steps_per_epoch(size, recipe.batch_size)
    total = np.zeros(size)
    for number in range(options.networks):
        network_seed = derive_seed(seed, "gradient-norms", str(number))
        network, generator = fresh_network(
            proxy.model, inputs.shape[1:], num_classes, seed=network_seed, device=device, sample=batches
        )
        if iterations:
            with seeded(network_seed, device):
                train(
                    network,
                    batches,
                    recipe=recipe,
                    iterations=iterations,
                    # The whole proxy's schedule; otherwise the learning rate would decay to its end in ten epochs.
                    horizon=proxy_iterations(recipe, size),
                    generator=generator,
                )
        total += norms_of(network, batches, layers=options.layers)
        if progress is not None:
            progress(number + 1, options.networks)
    return (total / options.networks).astype(np.float32)


def norms_of(network: nn.Module, batches: Batches, *, layers: Layers) -> NDArray[np.float32]:
    """Return the L2 norm of each image's cross-entropy gradient by the weights, without augmentation.

    The network is in evaluation mode: in training mode, batch norm would mix the images of a batch.

    Args:
        network: on the batches' device; left in evaluation mode.
        batches: N images with their labels.
        layers: ``all`` weights, or those of the ``last`` linear layer, for which the norm is that of the error
            (softmax minus onehot) times that of the features, bias included.

    Returns:
        float32 [N], in the order of the batches.

    Raises:
        TrainingError: see ``read_outputs``.
    """
    norms = _full_norms(network, batches) if layers == "all" else _last_norms(network, batches)
    return torch.cat(list(norms)).cpu().numpy()


def _full_norms(network: nn.Module, batches: Batches) -> Iterator[Tensor]:
    network.eval()
    weights = {name: weight.detach() for name, weight in network.named_parameters()}
    # Not differentiated: batch norm's statistics stay as training left them.
    buffers = dict(network.named_buffers())

    def loss(by_name: dict[str, Tensor], inputs: Tensor, target: Tensor) -> Tensor:
        logits = functional_call(network, (by_name, buffers), (inputs[None],))
        return functional.cross_entropy(logits, target[None])

    def norm(inputs: Tensor, target: Tensor) -> Tensor:
        # Squared inside the map, so that only the gradients of one chunk are in memory.
        parts: Any = grad(loss)(weights, inputs, target).values()
        return torch.stack([part.square().sum() for part in parts]).sum().sqrt()

    entries = sum(weight.numel() for weight in weights.values())
    on_cpu = all(weight.device.type == "cpu" for weight in weights.values())
    held = HELD_ON_CPU if on_cpu else HELD_ON_GPU
    norms = vmap(norm, chunk_size=min(_IMAGES, max(1, held // entries)))
    for batch in batches.in_order():
        yield norms(batch.inputs, batch.targets)


@torch.no_grad()
def _last_norms(network: nn.Module, batches: Batches) -> Iterator[Tensor]:
    bias = 1 if last_linear(network).bias is not None else 0
    for logits, features, targets in forward_batches(network, batches):
        errors = logits.softmax(1)
        # |e f^T| = |e| |f|: the gradient of a linear layer is an outer product, so no gradient is built.
        errors[torch.arange(len(targets), device=targets.device), targets] -= 1
        yield errors.norm(dim=1) * (features.square().sum(1) + bias).sqrt()
