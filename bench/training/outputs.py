"""Outputs of a trained network for every image: class probabilities and penultimate features."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from bench.errors import TrainingError
from bench.pool import Outputs
from bench.training.batches import Batches
from bench.training.precision import find_last_linear


def last_linear(network: nn.Module) -> nn.Linear:
    """Return the last linear layer, which computes the logits.

    Raises:
        TrainingError: the network has no linear layer.
    """
    layer = find_last_linear(network)
    if layer is None:
        raise TrainingError(f"a {type(network).__name__} has no linear layer, so no penultimate features to give.")
    return layer


@torch.no_grad()
def read_outputs(network: nn.Module, batches: Batches) -> Outputs:
    """Return probabilities and penultimate features in evaluation mode, without augmentation, in fp32.

    Args:
        network: on the batches' device; left in evaluation mode.
        batches: N images.

    Returns:
        float32 [N, C] and [N, D], in the order of the batches.

    Raises:
        TrainingError: the output of the last linear layer is not the network's logits.
    """
    parts = [(logits.softmax(1).cpu(), features.cpu()) for logits, features, _ in forward_batches(network, batches)]
    return Outputs(*(torch.cat(part).numpy() for part in zip(*parts, strict=True)))


def forward_batches(network: nn.Module, batches: Batches) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Yield logits [B, C], input of the last layer [B, D] and targets [B], batch by batch."""
    network.eval()
    seen: dict[str, Tensor] = {}

    def keep(layer: nn.Module, arguments: tuple[Tensor, ...], logits: Tensor) -> None:
        seen.update(features=arguments[0], logits=logits)

    layer = last_linear(network)
    handle = layer.register_forward_hook(keep)
    try:
        for batch in batches.in_order():
            logits: Tensor = network(batch.inputs)
            last_output = seen.pop("logits", None)
            # Identical, not equal: if a network scales its last layer or adds to it, the features do not give the
            # logits.
            if last_output is not logits:
                raise TrainingError(f"the last linear layer of a {type(network).__name__} does not give its logits.")
            yield logits, seen["features"], batch.targets
    finally:
        handle.remove()
