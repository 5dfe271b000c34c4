"""Preparing images for networks of other libraries. Imports torch: import this module inside functions only."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor


class Preparation:
    """Resizes and crops as a library configures it, then scales to [0, 1] and normalises.

    Batches are resized as uint8, like single images in the libraries: torchvision's kernel rounds to whole levels, as
    Pillow does after each of its two passes.

    Args:
        cut: the library's own resizing and cropping, on uint8 [B, 3, H, W].
        mean: per channel, in [0, 1].
        std: per channel, in [0, 1].
    """

    def __init__(self, cut: Callable[[Tensor], Tensor], mean: Sequence[float], std: Sequence[float]) -> None:
        self._cut = cut
        self._mean = torch.tensor(mean).view(1, 3, 1, 1)
        self._std = torch.tensor(std).view(1, 3, 1, 1)

    def __call__(self, images: Tensor) -> Tensor:
        """Return float32 [B, 3, S, S] for uint8 [B, 1 or 3, H, W]; one channel is repeated."""
        pixels = self._cut(images.expand(-1, 3, -1, -1)).float().div_(255)
        return pixels.sub_(self._mean.to(pixels.device)).div_(self._std.to(pixels.device))
