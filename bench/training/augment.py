"""Batched augmentation on the device that holds the images: uint8 in, normalised float out."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from bench.images.streaming import AREA, ASPECT, ATTEMPTS
from bench.recipe import Augmentation, Recipe, check_padding
from bench.to_device import to_device


def normaliser(mean: Sequence[float], std: Sequence[float], device: str) -> tuple[Tensor, Tensor]:
    """Return scale and shift, float32 [C, 1, 1], for which ``x * scale + shift`` is ``(x / 255 - mean) / std``."""
    centre = torch.tensor(mean, device=device).view(-1, 1, 1)
    spread = torch.tensor(std, device=device).view(-1, 1, 1)
    # One multiplication and one addition, since every value of every batch goes through them.
    return 1 / (255 * spread), -centre / spread


def augment(
    images: Tensor, indices: Tensor, recipe: Recipe, generator: torch.Generator, *, positions: Tensor, epoch: int
) -> Tensor:
    """Return ``images[indices]`` with the recipe's augmentation; see ``crop_and_flip`` and ``resized_crop_and_flip``.

    Args:
        images: uint8 [N, C, H, W].
        indices: int64 [B], on the device of ``images``.
        recipe: names the augmentation.
        generator: CPU generator.
        positions: int64 [B], numbers of the images in the data set, for the alternating mirror.
        epoch: number of the epoch from 0, for the alternating mirror.
    """
    if recipe.augmentation == "none":
        return images[indices]
    if recipe.augmentation == "resized-crop-flip":
        return resized_crop_and_flip(images[indices], generator)
    mirrored = alternate(positions, epoch) if recipe.augmentation == "crop-alternating-flip" else None
    return crop_and_flip(
        images,
        indices,
        kind=recipe.augmentation,
        padding=recipe.crop_padding,
        generator=generator,
        mirrored=mirrored,
    )


def alternate(positions: Tensor, epoch: int) -> Tensor:
    """Return whether each image is mirrored in this epoch: half of them in the first, and each in every other epoch.

    Two successive epochs show every image from both sides, where a random mirror shows half of them twice from the
    same side (Jordan 2024, arXiv:2404.00498, section 3.6).

    Args:
        positions: int64 [B].
        epoch: from 0.

    Returns:
        bool [B].
    """
    # Two rounds of MurmurHash3's finaliser: one multiplication would make neighbours, often of one class, alternate.
    mixed = positions & 0xFFFFFFFF
    for factor, shift in ((0x85EBCA6B, 13), (0xC2B2AE35, 16)):
        mixed = (mixed ^ (mixed >> 16)) * factor & 0xFFFFFFFF
        mixed = mixed ^ (mixed >> shift)
    return (mixed + epoch) % 2 == 1


def crop_and_flip(
    images: Tensor,
    indices: Tensor,
    *,
    kind: Augmentation,
    padding: int,
    generator: torch.Generator,
    mirrored: Tensor | None = None,
) -> Tensor:
    """Return ``images[indices]``, each with a random shift and mirror.

    A crop of an image that was reflect-padded by ``padding`` is a shift by -padding to +padding pixels in which
    positions outside are mirrored at the border; no padded copy is needed. Rows of pixels are taken first and then
    shifted sideways, which on a CPU takes a quarter of the time of indexing single pixels.

    Args:
        images: uint8 [N, C, H, W].
        indices: int64 [B], on the device of ``images``.
        kind: ``crop``, or ``crop-flip`` with the mirror.
        padding: pixels, below H and W.
        generator: CPU generator, so that every device draws the same numbers.
        mirrored: bool [B], images to mirror in place of random ones.

    Returns:
        uint8 [B, C, H, W].

    Raises:
        SpecError: reflection cannot fill the padding.
    """
    batch, (height, width), device = len(indices), images.shape[2:], images.device
    check_padding(padding, height, width)
    # Drawn on the CPU and before the mirror, so that a seed gives the same images on every device.
    shift = to_device(torch.randint(-padding, padding + 1, (2, batch, 1), generator=generator), device)
    rows = _reflect(torch.arange(height, device=device) + shift[0], height)
    columns = _reflect(torch.arange(width, device=device) + shift[1], width)
    if kind == "crop-flip":
        mirrored = to_device(torch.rand(batch, generator=generator) < 0.5, device)
    if mirrored is not None:
        # After the shift. The other order is as random, but would change a seed's pixels, and published rows could not
        # be reproduced.
        columns = torch.where(mirrored[:, None], columns.flip(1), columns)
    channels = torch.arange(images.shape[1], device=device)[:, None]
    # The number of every required pixel row among the rows of all images, so that one ``index_select`` copies whole
    # rows.
    lines = (indices[:, None, None] * len(channels) + channels) * height + rows[:, None, :]
    taken = images.reshape(-1, width).index_select(0, lines.flatten()).view(batch, len(channels), height, width)
    return taken.gather(3, columns[:, None, None, :].expand_as(taken))


def resized_crop_and_flip(images: Tensor, generator: torch.Generator) -> Tensor:
    """Return a random resized crop of each image, mirrored at random, as usual on ImageNet (Szegedy et al. 2015).

    The crop is drawn as by torchvision's ``RandomResizedCrop`` with its defaults: area 8 to 100 % of the image, aspect
    ratio 3/4 to 4/3, ten attempts, then the largest centred crop of a valid ratio. It is resized bilinearly to the
    image's size; no crop is larger than its image, so anti-aliasing is not needed.

    Args:
        images: uint8 [B, C, H, W].
        generator: CPU generator, so that every device draws the same numbers.

    Returns:
        uint8 [B, C, H, W].
    """
    height, width = images.shape[2:]
    drawn = draw_crops(len(images), height, width, generator)
    top, left, rows, columns = (to_device(part, images.device) for part in drawn)
    mirrored = to_device(torch.rand((len(images), 1), generator=generator) < 0.5, images.device)
    low, high, down = taps(top, rows, height)
    near, far, across = taps(left, columns, width)
    # Mirrored by reading the source columns in reverse order; no image is copied.
    near, far, across = (torch.where(mirrored, part.flip(1), part) for part in (near, far, across))
    batch = torch.arange(len(images), device=images.device)[:, None, None, None]
    channels = torch.arange(images.shape[1], device=images.device)[None, :, None, None]

    def taken(vertical: Tensor, horizontal: Tensor) -> Tensor:
        return images[batch, channels, vertical[:, None, :, None], horizontal[:, None, None, :]].float()

    down, across = down[:, None, :, None], across[:, None, None, :]
    upper = torch.lerp(taken(low, near), taken(low, far), across)
    lower = torch.lerp(taken(high, near), taken(high, far), across)
    # Rounded to uint8 like a decoded file, so that images in memory and in files are augmented alike.
    return torch.lerp(upper, lower, down).round().to(torch.uint8)


def draw_crops(
    batch: int, height: int, width: int, generator: torch.Generator, *, share: tuple[float, float] = AREA
) -> tuple[Tensor, ...]:
    """Return top, left, height and width of a random crop of each image, int64 [B] each: the first attempt that fits.

    Args:
        batch: B.
        height: height of the images in pixels.
        width: width of the images in pixels.
        generator: CPU generator.
        share: smallest and largest share of the image's area.
    """

    def uniform(low: float, high: float) -> Tensor:
        # All attempts of all images at once, where torchvision tries again: the number of draws must not depend on
        # which attempt fits.
        return low + (high - low) * torch.rand((ATTEMPTS, batch), generator=generator, dtype=torch.float64)

    area = height * width * uniform(*share)
    # In logarithms, so that 3/4 and 4/3 are equally likely.
    ratio = uniform(math.log(ASPECT[0]), math.log(ASPECT[1])).exp()
    columns, rows = (area * ratio).sqrt().round().long(), (area / ratio).sqrt().round().long()
    fits = (columns >= 1) & (columns <= width) & (rows >= 1) & (rows <= height)
    # ``argmax`` of zeros and ones is the first 1; ``fitting`` tells whether there is one.
    first = fits.int().argmax(0, keepdim=True)
    fitting = fits.any(0)
    columns = torch.where(fitting, columns.gather(0, first)[0], min(width, round(height * ASPECT[1])))
    rows = torch.where(fitting, rows.gather(0, first)[0], min(height, round(width / ASPECT[0])))
    corner = torch.rand((2, batch), generator=generator, dtype=torch.float64)
    top = torch.where(fitting, (corner[0] * (height - rows + 1)).long(), (height - rows) // 2)
    left = torch.where(fitting, (corner[1] * (width - columns + 1)).long(), (width - columns) // 2)
    return top, left, rows, columns


def taps(start: Tensor, length: Tensor, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return bilinear interpolation along one axis: two source pixels and the weight of the second, [B, size] each."""
    centres = torch.arange(size, device=start.device) + 0.5
    # Pixel centres at half numbers, as in torch's ``align_corners=False`` and in Pillow.
    position = (centres * length[:, None] / size - 0.5).clamp_min(0)
    lower = position.long()
    # Not beyond the crop, although the image continues: torchvision crops before it resizes.
    upper = torch.minimum(lower + 1, length[:, None] - 1)
    return start[:, None] + lower, start[:, None] + upper, position - lower


def _reflect(position: Tensor, size: int) -> Tensor:
    # Mirrored at both borders without repeating the border pixel, as torch's ``reflect`` padding.
    return (size - 1) - ((size - 1) - position.abs()).abs()
