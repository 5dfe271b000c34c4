"""Random views of images for self-supervised training: crop, mirror, colour jitter and greyscale, image by image."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from bench.to_device import to_device
from bench.training.augment import draw_crops, taps

CROP = (0.2, 1.0)
BRIGHTNESS = CONTRAST = SATURATION = 0.4
HUE = 0.1
JITTERED, GREY = 0.8, 0.2
"""Shares of images whose colours are jittered, and that become grey."""
_LUMA = (0.299, 0.587, 0.114)
# The NTSC colour space, in which a rotation about the first axis changes the hue and keeps the luma.
_YIQ = (_LUMA, (0.596, -0.274, -0.322), (0.211, -0.523, 0.312))


def random_view(images: Tensor, generator: torch.Generator) -> Tensor:
    """Return one random view of each image.

    Source: Chen and He 2021, appendix A and D (without the blur, as there for small images): crop of 20 to 100 % of
    the area, mirror, colour jitter of strength 0.4, 0.4, 0.4, 0.1 in 80 % and greyscale in 20 % of the images.
    Deviations: the four parts of the jitter have a fixed order and are clipped to [0, 1] once, and the hue is rotated
    in YIQ instead of HSV, so that one 4 x 3 matrix per image does all of them. torchvision draws once per batch.

    Args:
        images: uint8 [B, C, H, W], C = 1 or 3.
        generator: CPU generator, so that every device draws the same numbers.

    Returns:
        float32 [B, C, H, W] in [0, 1].
    """
    return jitter(crop_and_mirror(images, generator), generator)


def crop_and_mirror(images: Tensor, generator: torch.Generator) -> Tensor:
    """Crop, resize and mirror each image like ``resized_crop_and_flip``, but with ``CROP`` and without rounding.

    Two matrix products with the interpolation weights take an eighth of the time of indexing pixels on a CPU.

    Args:
        images: uint8 [B, C, H, W].
        generator: CPU generator.

    Returns:
        float32 [B, C, H, W] in [0, 1].
    """
    batch, channels, height, width = images.shape
    top, left, rows, columns = draw_crops(batch, height, width, generator, share=CROP)
    mirrored = torch.rand((batch, 1, 1), generator=generator) < 0.5
    down, across = _interpolation(top, rows, height), _interpolation(left, columns, width)
    across = torch.where(mirrored, across.flip(1), across)
    # Rows and columns are swapped after each product: one large product per image is four times as fast as C small.
    lines = images.float().div_(255).view(batch, channels * height, width)
    lines = torch.bmm(lines, to_device(across, images.device).transpose(1, 2)).view(batch, channels, height, width)
    lines = lines.transpose(2, 3).reshape(batch, channels * width, height)
    lines = torch.bmm(lines, to_device(down, images.device).transpose(1, 2)).view(batch, channels, width, height)
    return lines.transpose(2, 3).contiguous()


def _interpolation(start: Tensor, length: Tensor, size: int) -> Tensor:
    """Return the weights [B, size, size] of every source pixel (last axis) in every pixel of the resized crop."""
    low, high, share = taps(start, length, size)
    weights = torch.zeros(len(start), size, size)
    weights.scatter_add_(2, low[..., None], (1 - share)[..., None])
    return weights.scatter_add_(2, high[..., None], share[..., None])


def jitter(images: Tensor, generator: torch.Generator) -> Tensor:
    """Return images with jittered or no colours, see ``random_view``; one channel gets only brightness and contrast.

    Args:
        images: float32 [B, C, H, W] in [0, 1].
        generator: CPU generator.

    Returns:
        float32 [B, C, H, W] in [0, 1].
    """
    batch, channels = images.shape[:2]
    coloured = channels == 3
    # All six numbers, used or not, so that grey and coloured images need the same number of draws.
    drawn = torch.rand((6, batch, 1, 1), generator=generator)
    # Amounts of 0 are no jitter: all images get the same arithmetic, so that one product does a batch.
    amount = torch.where(drawn[4] < JITTERED, 2 * drawn[:4] - 1, torch.zeros(()))
    brightness, contrast = 1 + BRIGHTNESS * amount[0], 1 + CONTRAST * amount[1]
    mixing = torch.eye(channels).expand(batch, -1, -1)
    luma = torch.tensor(_LUMA if coloured else (1.0,))
    if coloured:
        grey = luma.expand(3, 3)
        saturation = torch.where(drawn[5] < GREY, torch.zeros(()), 1 + SATURATION * amount[2])
        mixing = (saturation * mixing + (1 - saturation) * grey) @ _hue_turns(2 * math.pi * HUE * amount[3])
    device = images.device
    mean = torch.einsum("bchw,c->b", images, to_device(luma, device)).div(images[0, 0].numel()).view(-1, 1, 1)
    # Contrast is relative to the image's mean luma, which hue and saturation keep, so one mean serves all four.
    gain = to_device(brightness * contrast * mixing, device)
    shift = to_device(brightness * (1 - contrast), device) * mean
    return torch.bmm(gain, images.flatten(2)).add_(shift).clamp_(0, 1).view_as(images)


def _hue_turns(angles: Tensor) -> Tensor:
    """Return RGB matrices [B, 3, 3] that rotate the hue by ``angles`` [B, 1, 1], in radians."""
    yiq = torch.tensor(_YIQ)
    cosine, sine, zero, one = angles.cos(), angles.sin(), torch.zeros_like(angles), torch.ones_like(angles)
    rows = [(one, zero, zero), (zero, cosine, -sine), (zero, sine, cosine)]
    turn = torch.cat([torch.cat(row, 2) for row in rows], 1)
    # The inverse of the same rounded coefficients, so that a rotation by 0 changes nothing.
    return torch.linalg.inv(yiq) @ turn @ yiq
