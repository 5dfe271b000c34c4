"""Frozen torch networks as encoders. Imports torch: import this module inside functions only."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bench.data import IMAGENET_MEAN, IMAGENET_STD, Images
from bench.embedding.encoder import batches
from bench.errors import DataError, WeightsError
from bench.held_memory import held_memory
from bench.to_device import to_device

_CPU_PIXELS = 400_000
"""Pixels of a channel that a CPU processes at once. Larger layers took several times as long as the arithmetic, while
the C library returned them to the system at every step; since ``held_memory``, other steps were not measured. Measured
on 2 cores (AMD EPYC, torch 2.14.1, glibc) with tf_efficientnet_lite0 at 128 px and ViT-S/16 at 224 px, see
``embedding`` in benchmarks/README.md; other CPUs and GPUs were not measured."""


class FrozenEncoder:
    """A network without its classifier: resize, normalise, pooled features.

    Args:
        name: name of the encoder, for messages.
        module: maps float32 [B, 3, size, size] to features [B, D].
        size: side in pixels to which images are resized.
        mean: per channel, in [0, 1]; that of the network's training, not of the data set.
        std: per channel, in [0, 1].
        prepare: replaces resizing and normalisation: uint8 [B, 1 or 3, H, W] -> input of ``module``.
    """

    def __init__(
        self,
        name: str,
        module: nn.Module,
        *,
        size: int,
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
        prepare: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        self.name = name
        # Evaluation mode: batch norm must use the statistics of its training, not of the batch.
        self.module = module.eval().requires_grad_(False)
        self.size = size
        self._mean = torch.tensor(mean).view(1, 3, 1, 1)
        self._std = torch.tensor(std).view(1, 3, 1, 1)
        self._prepare = prepare or self._resized

    @held_memory()
    @torch.inference_mode()
    def embed(
        self, images: Images, *, device: str, batch_size: int, progress: Callable[[int], None] | None = None
    ) -> NDArray[np.float32]:
        """Return the embeddings, see ``Encoder.embed``; float32 on every device, so that all can use stored ones.

        Images of one channel are repeated to three. A CPU processes fewer large images at a time than ``batch_size``
        (8 of 224 px, 43 of 96 px).
        """
        if images.shape[1] not in (1, 3):
            raise DataError(f"encoder {self.name!r} takes images of 1 or 3 channels, got {images.shape[1]}.")
        on = torch.device(device)
        module = self.module.to(on, memory_format=torch.channels_last)  # type: ignore[call-overload]
        step = images_at_once(self.size**2, batch_size, on)
        parts = []
        # A multiple of the step is read at once: several threads read files, and a few images would leave them idle.
        for index in batches(len(images), batch_size - batch_size % max(1, step)):
            for pixels in torch.from_numpy(np.ascontiguousarray(images[index])).split(step):
                parts.append(self._features(module, to_device(pixels, on)))
                if progress is not None:
                    progress(len(pixels))
        return np.concatenate(parts)

    def _resized(self, pixels: Tensor) -> Tensor:
        mean, std = self._mean.to(pixels.device), self._std.to(pixels.device)
        return (resize(pixels.float().div_(255), self.size).expand(-1, 3, -1, -1) - mean) / std

    def _features(self, module: nn.Module, pixels: Tensor) -> NDArray[np.float32]:
        inputs = self._prepare(pixels)
        features: Tensor = module(inputs.contiguous(memory_format=torch.channels_last)).float().cpu()
        # Checked per step and not at the end, which may be hours later.
        if not torch.isfinite(features).all():
            raise WeightsError(
                f"encoder {self.name!r} gives numbers that are not finite; its weights file is damaged "
                "or made for another input."
            )
        return features.numpy()


def images_at_once(pixels: int, most: int, device: torch.device) -> int:
    """Return how many images of so many pixels are embedded or scored in one step, at most ``most``."""
    return min(most, max(8, _CPU_PIXELS // pixels)) if device.type == "cpu" else most


def resize(images: Tensor, size: int) -> Tensor:
    """Return images resized bicubically with antialiasing, as by Pillow.

    Args:
        images: float32 [B, C, H, W] in [0, 1].
        size: side of the result in pixels.

    Returns:
        float32 [B, C, size, size] in [0, 1]; the overshoot of bicubic interpolation is clipped.
    """
    # Unchanged: an interpolation to the same size would round.
    if images.shape[-2:] == (size, size):
        return images
    resized = nn.functional.interpolate(images, (size, size), mode="bicubic", antialias=True, align_corners=False)
    # Networks have not seen values outside [0, 1].
    return resized.clamp_(0, 1)
