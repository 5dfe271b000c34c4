"""Sources of training and test batches: a tensor on the device, or image files that are decoded in advance."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import torch
from torch import Tensor

from bench.data import FileImages
from bench.embedding.frozen import images_at_once
from bench.recipe import Recipe
from bench.to_device import to_device
from bench.training.augment import augment, normaliser

Inputs = TypeVar("Inputs", Tensor, FileImages)
_FEW, _MANY = 256, 1_024
"""Most images of an evaluation batch on a CPU, and on a GPU; of large images fewer, see ``_at_once``. Results of a
network in evaluation mode (accuracies, outputs, gradient norms) depend on it only by rounding."""
_GPU_PIXELS = 2**22
"""Pixels that a GPU scores at once: 1,024 images of 64 px, 83 of 224 px. A convention, so that scoring takes no more
memory than training in small batches."""


class Batch(NamedTuple):
    """``inputs`` float32 [B, ...], ``targets`` int64 [B], ``positions`` int64 [B] of the images in the source."""

    inputs: Tensor
    targets: Tensor
    positions: Tensor


class Batches(Protocol):
    """Inputs with targets that can be iterated any number of times."""

    def __len__(self) -> int: ...
    def epoch(self, generator: torch.Generator) -> Iterator[Batch]: ...
    def in_order(self) -> Iterator[Batch]: ...

    @property
    def normalisation(self) -> tuple[Tensor, Tensor]:
        """Scale and shift of grey levels from 0 to 255, float32 [C, 1, 1] on the device."""
        ...


def split_epoch(order: Tensor, batch_size: int) -> list[Tensor]:
    """Return a permutation in batches; a last batch of one joins the previous, since batch norm needs two values."""
    parts = list(order.split(batch_size))
    if len(parts) > 1 and len(parts[-1]) == 1:
        parts[-2:] = [torch.cat(parts[-2:])]
    return parts


def _at_once(shape: tuple[int, ...], device: torch.device) -> int:
    """Return the size of an evaluation batch of inputs [N, ...]."""
    pixels = math.prod(shape[2:])  # 1 for embeddings
    if device.type == "cpu":
        # On 2 cores (Intel Xeon, 256 images), 43 of 96 px at once took 0.65 of the time of 256 in small_cnn, and 24 of
        # 128 px 0.84 in ResNet-18, with a third of the memory.
        return images_at_once(pixels, _FEW, device)
    return min(_MANY, max(32, _GPU_PIXELS // pixels))


class _Source(Generic[Inputs]):
    """Inputs with targets, the recipe of their batches, and the normalisation of images.

    Args:
        inputs: N inputs.
        targets: int64 [N].
        recipe: batch size and augmentation.
        mean: per channel, in [0, 1].
        std: per channel, in [0, 1].
        device: ``cpu`` or ``cuda``.
    """

    def __init__(
        self,
        inputs: Inputs,
        targets: Tensor,
        *,
        recipe: Recipe,
        mean: Sequence[float],
        std: Sequence[float],
        device: str,
    ) -> None:
        self._inputs: Inputs = inputs
        self._targets, self._recipe, self._device = targets, recipe, device
        self._epochs = 0
        self._scale, self._shift = normaliser(mean, std, device)

    def __len__(self) -> int:
        return len(self._targets)

    @property
    def normalisation(self) -> tuple[Tensor, Tensor]:
        """Scale and shift, see ``bench.training.augment.normaliser``."""
        return self._scale, self._shift

    def _normalised(self, images: Tensor) -> Tensor:
        # channels_last like the network (``fresh_network``): mixed layouts make every convolution copy its input.
        return (images * self._scale).add_(self._shift).contiguous(memory_format=torch.channels_last)


class TensorBatches(_Source[Tensor]):
    """Batches out of one tensor on the device; every image once per epoch.

    Its inputs are uint8 [N, C, H, W] images, or float32 [N, D] embeddings, which are neither augmented nor normalised.
    """

    def __init__(self, inputs: Tensor, targets: Tensor, *, device: str, **settings: Any) -> None:
        # The whole split is on the device, as uint8: a quarter of float32, and no copy per step. ``augment`` needs it
        # contiguous.
        super().__init__(inputs.to(device).contiguous(), targets.to(device), device=device, **settings)
        self._images = inputs.dtype == torch.uint8

    def epoch(self, generator: torch.Generator) -> Iterator[Batch]:
        """Yield shuffled and augmented batches; all random numbers come from ``generator`` (CPU)."""
        order = torch.randperm(len(self), generator=generator)
        for part in split_epoch(order, self._recipe.batch_size):
            indices = to_device(part, self._targets.device)
            if not self._images:
                yield Batch(self._inputs[indices], self._targets[indices], indices)
                continue
            taken = augment(self._inputs, indices, self._recipe, generator, positions=indices, epoch=self._epochs)
            yield Batch(self._normalised(taken), self._targets[indices], indices)
        self._epochs += 1

    def in_order(self) -> Iterator[Batch]:
        """Yield all inputs in their order, without augmentation."""
        device = self._targets.device
        at_once = _at_once(tuple(self._inputs.shape), device)
        positions = torch.arange(len(self), device=device)
        parts = (whole.split(at_once) for whole in (self._inputs, self._targets, positions))
        for inputs, *rest in zip(*parts, strict=True):
            # A copy, since a network may work in place and every evaluation reads the same embeddings.
            yield Batch(self._normalised(inputs) if self._images else inputs.clone(), *rest)


class FileBatches(_Source[FileImages]):
    """Batches out of image files; a thread decodes the next batch while the device computes the current one."""

    def epoch(self, generator: torch.Generator) -> Iterator[Batch]:
        """Yield shuffled and augmented batches; all random numbers come from ``generator`` (CPU).

        A resized crop is taken from the original image while it is decoded; other crops from the centre crop, as for
        images in memory.
        """
        order = torch.randperm(len(self), generator=generator)
        parts = split_epoch(order, self._recipe.batch_size)
        if self._recipe.augmentation == "resized-crop-flip":
            # A seed for each image, drawn before any is decoded: no image may depend on its batch.
            seeds = torch.randint(2**62, (len(self),), generator=generator)
            for part, images in self._decoded(parts, seeds):
                yield self._batch(part, images)
            return
        for part, images in self._decoded(parts):
            everyone = torch.arange(len(part), device=images.device)
            positions = to_device(part, images.device)
            taken = augment(images, everyone, self._recipe, generator, positions=positions, epoch=self._epochs)
            yield self._batch(part, taken)
        self._epochs += 1

    def in_order(self) -> Iterator[Batch]:
        """Yield the centre crops of all images in their order."""
        at_once = _at_once(self._inputs.shape, torch.device(self._device))
        # Several batches are decoded at a time: the threads that decode would wait for a few images.
        for part, images in self._decoded(list(torch.arange(len(self)).split(_FEW))):
            for few, pixels in zip(part.split(at_once), images.split(at_once), strict=True):
                yield self._batch(few, pixels)

    def _batch(self, part: Tensor, images: Tensor) -> Batch:
        targets = to_device(self._targets[part], self._device)
        return Batch(self._normalised(images), targets, to_device(part, self._device))

    def _decoded(self, parts: list[Tensor], seeds: Tensor | None = None) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield each part and its images, uint8 [B, C, H, W]: resized crops by ``seeds`` [N], or centre crops."""

        def decode(part: Tensor) -> Tensor:
            positions = part.numpy()
            images = (
                self._inputs[positions] if seeds is None else self._inputs.augmented(positions, seeds[part].tolist())
            )
            return to_device(torch.from_numpy(images), self._device)

        # One thread, one batch ahead: decoding itself uses several threads, and more batches would only take memory.
        with ThreadPoolExecutor(1) as reader:
            waiting: list[Future[Tensor]] = [reader.submit(decode, parts[0])]
            for number, part in enumerate(parts):
                images = waiting.pop().result()
                if number + 1 < len(parts):
                    waiting.append(reader.submit(decode, parts[number + 1]))
                yield part, images
