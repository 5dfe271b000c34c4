"""Networks of other libraries as they train here. Imports torch: import this module inside functions only."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
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


class FineTuned(Scaled):
    """A network with weights that were learned elsewhere, and its images as they were normalised there.

    Args:
        network: float [B, 3, S, S] -> logits [B, C].
        size: see ``Scaled``.
        mean: per channel, in [0, 1], that its weights were learned with.
        std: likewise.
        head: beginnings of the names of its last layer's parameters.
        body_lr: learning rate of all others, as a factor of the recipe's.
    """

    def __init__(
        self,
        network: nn.Module,
        size: int | None,
        *,
        mean: Sequence[float],
        std: Sequence[float],
        head: Sequence[str],
        body_lr: float,
    ) -> None:
        super().__init__(network, size)
        self._head, self._body_lr = tuple(head), body_lr
        self._mean, self._std = (torch.tensor(values).view(-1, 1, 1) for values in (mean, std))
        # Not persistent: they say how the images come, and are nothing that was learned.
        self.register_buffer("_factor", torch.ones(3, 1, 1), persistent=False)
        self.register_buffer("_offset", torch.zeros(3, 1, 1), persistent=False)

    def normalised_as(self, scale: Tensor, shift: Tensor) -> None:
        """Take inputs that are ``pixels * scale + shift`` of grey levels from 0 to 255, per channel."""
        mean, std = self._mean.to(scale.device), self._std.to(scale.device)
        # Inputs solved for the pixels and normalised again, in one product and one sum.
        self._factor = 1 / (255 * scale * std)
        self._offset = -(shift / (255 * scale) + mean) / std

    def forward(self, inputs: Tensor) -> Tensor:
        """Return logits [B, C] of float [B, 1 or 3, H, W]."""
        return super().forward(inputs * self._factor + self._offset)

    def learning_rates(self) -> list[tuple[list[nn.Parameter], float]]:
        """Return all parameters, in parts, each with its factor of the recipe's learning rate."""
        named = list(self.network.named_parameters())
        head = [value for name, value in named if name.startswith(self._head)]
        body = [value for name, value in named if not name.startswith(self._head)]
        return [(head, 1.0), (body, self._body_lr)]


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
    # The common base of all BatchNorms, which torch keeps private.
    over_batches = any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in empty(build).modules())
    return {} if over_batches else TRANSFORMER


TRANSFORMER = {"optimiser": "adamw", "lr": 1e-3, "lr_min": 1e-6, "weight_decay": 0.05, "warm_up": 0.05}
"""Fields of a recipe for networks without BatchNorm: AdamW, a linear rise of the learning rate, decoupled decay.

Learning rate and decay are those of DeiT (Touvron et al. 2021, arXiv:2012.12877) for 1,024 images a step; 5 of its 300
epochs are warm-up."""
