"""Networks of other libraries as they train here. Imports torch: import this module inside functions only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from bench.errors import SpecError
from bench.zoo.empty import empty


class Scaled(nn.Module):
    """A network of three channels on images of one or three, at a side of its own.

    Args:
        network: float [B, 3, S, S] -> logits [B, C].
        size: S that images are scaled to, bilinearly; None for as they are.
    """

    def __init__(self, network: nn.Module, size: int | None) -> None:
        super().__init__()
        self.network = network
        self._size = size

    def forward(self, inputs: Tensor) -> Tensor:
        """Return logits [B, C] of float [B, 1 or 3, H, W]."""
        pixels = inputs.expand(-1, 3, -1, -1)
        if self._size is not None and pixels.shape[-2:] != (self._size, self._size):
            pixels = functional.interpolate(
                pixels, (self._size, self._size), mode="bilinear", antialias=True, align_corners=False
            )
        logits: Tensor = self.network(pixels)
        return logits


def check_images(shape: tuple[int, ...], owner: str) -> None:
    """Refuse what are no images of one or three channels, (C, H, W).

    Raises:
        SpecError: says what was given.
    """
    if len(shape) != 3 or shape[0] not in (1, 3):
        raise SpecError(f"{owner} takes images (C, H, W) of 1 or 3 channels, got {tuple(shape)}.")


def recipe_for(build: Callable[[], nn.Module]) -> Mapping[str, Any]:
    """Fields of a recipe that a network needs: ``TRANSFORMER`` where none of its layers normalises over batches.

    Args:
        build: makes the network; nothing is computed with it.
    """
    over_batches = any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in empty(build).modules())
    return {} if over_batches else TRANSFORMER


TRANSFORMER = {"optimiser": "adamw", "lr": 1e-3, "lr_min": 1e-6, "weight_decay": 0.05, "warm_up": 0.05}
"""Fields of a recipe for networks without BatchNorm: AdamW, a linear rise of the learning rate, decoupled decay.

Learning rate and decay are those of DeiT (Touvron et al. 2021, arXiv:2012.12877) for 1,024 images a step; 5 of its 300
epochs are warm-up."""
