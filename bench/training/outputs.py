"""What a trained network says of every image: class probabilities, penultimate features, gradient norms."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.nn import functional

from bench.errors import TrainingError
from bench.pool import Layers, Outputs
from bench.training.batches import Batches
from bench.training.precision import find_last_linear

HELD_ON_CPU, HELD_ON_GPU = 2**27, 2**30
"""Gradient entries held at once: half a GB in float32, or 4.3 GB where few at a time would leave a GPU idle."""
_IMAGES = 256
"""Images whose gradients are held at once: of a small network, the activations count for more."""


def last_linear(network: nn.Module) -> nn.Linear:
    """Return the layer that gives the logits.

    Raises:
        TrainingError: the network has no linear layer.
    """
    layer = find_last_linear(network)
    if layer is None:
        raise TrainingError(f"a {type(network).__name__} has no linear layer, so no penultimate features to give.")
    return layer


@torch.no_grad()
def read_outputs(network: nn.Module, batches: Batches) -> Outputs:
    """Read probabilities and penultimate features in evaluation mode, without augmentation, in fp32.

    Args:
        network: on the batches' device; left in evaluation mode.
        batches: N images.

    Returns:
        float32 [N, C] and [N, D], in the order of the batches.

    Raises:
        TrainingError: the last linear layer does not give the network's logits.
    """
    parts = [(logits.softmax(1).cpu(), features.cpu()) for logits, features, _ in _forward(network, batches)]
    return Outputs(*(torch.cat(part).numpy() for part in zip(*parts, strict=True)))


def gradient_norms(network: nn.Module, batches: Batches, *, layers: Layers) -> NDArray[np.float32]:
    """Return the L2 norm of each image's cross-entropy gradient by the weights, without augmentation.

    In evaluation mode, because batch norm in training mode would mix the images of a batch.

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
    # Beside the weights and not differentiated: batch norm's statistics stay what training left.
    buffers = dict(network.named_buffers())

    def loss(by_name: dict[str, Tensor], inputs: Tensor, target: Tensor) -> Tensor:
        logits = functional_call(network, (by_name, buffers), (inputs[None],))
        return functional.cross_entropy(logits, target[None])

    def norm(inputs: Tensor, target: Tensor) -> Tensor:
        # Squared inside the map, so that the gradients of one chunk are all that is held.
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
    for logits, features, targets in _forward(network, batches):
        errors = logits.softmax(1)
        # |e f^T| = |e| |f|: the gradient of a linear layer is an outer product, so no gradient is built.
        errors[torch.arange(len(targets), device=targets.device), targets] -= 1
        yield errors.norm(dim=1) * (features.square().sum(1) + bias).sqrt()


def _forward(network: nn.Module, batches: Batches) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Yield logits [B, C], input of the last layer [B, D] and targets [B], batch by batch."""
    network.eval()
    seen: dict[str, Tensor] = {}

    def keep(layer: nn.Module, given: tuple[Tensor, ...], logits: Tensor) -> None:
        seen.update(features=given[0], logits=logits)

    layer = last_linear(network)
    handle = layer.register_forward_hook(keep)
    try:
        for batch in batches.in_order():
            logits: Tensor = network(batch.inputs)
            given = seen.pop("logits", None)
            # The very tensor: a network that scales or adds to its last layer would get features that do not give its
            # logits.
            if given is not logits:
                raise TrainingError(f"the last linear layer of a {type(network).__name__} does not give its logits.")
            yield logits, seen["features"], batch.targets
    finally:
        handle.remove()
