"""Networks of other libraries as models. Imports torch: import this module inside functions only."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from bench.errors import SpecError
from bench.zoo.empty import empty


class Scaled(nn.Module):
    """A network for three channels that takes images of one or three channels, and scales them.

    Args:
        network: float [B, 3, S, S] -> logits [B, C].
        size: S, to which images are scaled bilinearly; None to leave them as they are.
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
    """A pretrained network, which gets images normalised as in its own training.

    Args:
        network: float [B, 3, S, S] -> logits [B, C].
        size: see ``Scaled``.
        mean: per channel, in [0, 1], with which its weights were trained.
        std: per channel, in [0, 1], with which its weights were trained.
        head: prefixes of the names of its last layer's parameters.
        body_lr: learning rate of all other parameters, as a factor of the recipe's.
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
        # Not persistent: they describe the normalisation of the images and are not learned.
        self.register_buffer("_factor", torch.ones(3, 1, 1), persistent=False)
        self.register_buffer("_offset", torch.zeros(3, 1, 1), persistent=False)

    def normalised_as(self, scale: Tensor, shift: Tensor) -> None:
        """Expect inputs ``pixels * scale + shift``, per channel, of pixels from 0 to 255."""
        mean, std = self._mean.to(scale.device), self._std.to(scale.device)
        # Undoes the inputs' normalisation and applies the network's, in one product and one sum.
        self._factor = 1 / (255 * scale * std)
        self._offset = -(shift / (255 * scale) + mean) / std

    def forward(self, inputs: Tensor) -> Tensor:
        """Return logits [B, C] of float [B, 1 or 3, H, W]."""
        return super().forward(inputs * self._factor + self._offset)

    def learning_rates(self) -> list[tuple[list[nn.Parameter], float]]:
        """Return all parameters in groups, each with its factor of the recipe's learning rate."""
        named = list(self.network.named_parameters())
        head = [value for name, value in named if name.startswith(self._head)]
        body = [value for name, value in named if not name.startswith(self._head)]
        return [(head, 1.0), (body, self._body_lr)]


def check_images(shape: tuple[int, ...], owner: str) -> None:
    """Refuse inputs that are not images (C, H, W) of one or three channels.

    Raises:
        SpecError: the shape is another.
    """
    if len(shape) != 3 or shape[0] not in (1, 3):
        raise SpecError(f"{owner} takes images (C, H, W) of 1 or 3 channels, got {tuple(shape)}.")


def recipe_for(build: Callable[[], nn.Module]) -> Mapping[str, Any]:
    """Return the recipe's fields that a network needs: ``TRANSFORMER`` if it has no BatchNorm, else none.

    Args:
        build: makes the network, which is only inspected.
    """
    # The common base of all BatchNorms, which is private in torch.
    over_batches = any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in empty(build).modules())
    return {} if over_batches else TRANSFORMER


TRANSFORMER = {"optimiser": "adamw", "lr": 1e-3, "lr_min": 1e-6, "weight_decay": 0.05, "warm_up": 0.05}
"""Fields of a recipe for networks without BatchNorm: AdamW, linear warm-up, decoupled decay.

Learning rate and decay are DeiT's (Touvron et al. 2021, arXiv:2012.12877) for 1,024 images a step; 5 of its 300 epochs
are warm-up."""
