"""What a network takes: its parameters and the values that it keeps per image for the backward pass."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor, nn

from bench.identity import ModelRef


class Footprint(NamedTuple):
    """``parameters`` of the network and ``activations`` per image, both in numbers of values."""

    parameters: int
    activations: int


@lru_cache(maxsize=64)
def footprint(model: ModelRef, shape: tuple[int, ...], num_classes: int) -> Footprint | None:
    """Count by one forward pass of two inputs of zeros on the CPU, in evaluation mode.

    Torch's meta device would need no arithmetic, but loads 150 MB of libraries into the driver.

    Args:
        model: which network.
        shape: of one input, (C, H, W) or (D,).
        num_classes: outputs.

    Returns:
        The sum over all layers; None for a network that fails.
    """
    from bench.training.fit import build_model

    counted = 0

    def count(module: nn.Module, inputs: object, output: object) -> None:
        nonlocal counted
        if isinstance(output, Tensor):
            counted += output.numel()

    try:
        network = build_model(model, shape, num_classes, 0).eval()
        with torch.no_grad():
            for module in network.modules():
                # Leaves alone: a container's output is that of its last layer and would count twice.
                if not list(module.children()):
                    module.register_forward_hook(count)
            # Two inputs, since a network may squeeze a batch of one away; the sum is halved below.
            network(torch.zeros(2, *shape))
    except (Exception, SystemExit):  # why, its training will say
        return None
    return Footprint(sum(value.numel() for value in network.parameters()), counted // 2)
