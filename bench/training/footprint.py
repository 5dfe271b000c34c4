"""The size of a network: its parameters, and the values per image that the backward pass needs."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor, nn

from bench.identity import ModelRef


class Footprint(NamedTuple):
    """Numbers of the network's ``parameters`` and of its ``activations`` per image."""

    parameters: int
    activations: int


@lru_cache(maxsize=64)
def footprint(model: ModelRef, shape: tuple[int, ...], num_classes: int) -> Footprint | None:
    """Return a network's footprint, counted in one forward pass of two zero inputs on the CPU, in evaluation mode.

    Torch's meta device would need no arithmetic, but would load 150 MB of libraries into the driver.

    Args:
        model: the network.
        shape: shape of one input, (C, H, W) or (D,).
        num_classes: number of outputs.

    Returns:
        The sum over all layers; None if the network fails.
    """
    from bench.training.fit import build_model

    activations = 0

    def count(module: nn.Module, inputs: object, output: object) -> None:
        nonlocal activations
        if isinstance(output, Tensor):
            activations += output.numel()

    try:
        network = build_model(model, shape, num_classes, 0).eval()
        with torch.no_grad():
            for module in network.modules():
                # Only leaves: a container's output is its last layer's and would count twice.
                if not list(module.children()):
                    module.register_forward_hook(count)
            # Two inputs, since a network may squeeze away a batch of one; the sum is halved below.
            network(torch.zeros(2, *shape))
    except (Exception, SystemExit):  # its training will report why
        return None
    return Footprint(sum(value.numel() for value in network.parameters()), activations // 2)
