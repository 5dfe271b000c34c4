"""The network of the CIFAR-10 speed runs: small, and well trained after ten epochs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from bench import register_model
from bench.errors import SpecError

if TYPE_CHECKING:
    from torch import nn


@register_model(
    "speedrun",
    inputs="images",
    source="Jordan 2024 (arXiv:2404.00498)",
    # The paper's learning rate and weight decay, which are per 1,024 images and for a sum of losses, converted to a
    # mean over a batch: 11.5 * 1,024 / (1,024 * (1 + 1 / (1 - momentum))) = 1.5, and 0.0153 / 11.5.
    recipe={
        "batch_size": 1024,
        "lr": 1.5,
        "lr_min": 0.105,
        "schedule": "triangular",
        "momentum": 0.85,
        "nesterov": True,
        "weight_decay": 1.33e-3,
        "label_smoothing": 0.2,
        "augmentation": "crop-alternating-flip",
        "crop_padding": 2,
    },
)
def speedrun(
    shape: tuple[int, ...], num_classes: int, *, width: Annotated[float, Field(gt=0, le=8)] = 1.0
) -> nn.Module:
    """Patch whitening, then three blocks of two 3x3 convolutions with BatchNorm and GELU; 2.0 million parameters.

    Source: Jordan 2024, "94% on CIFAR-10 in 3.29 Seconds on a Single GPU" (arXiv:2404.00498), sections 3.1 to 3.4, from
    its description. The first layer is fixed: it whitens patches of 2 x 2 pixels of the training images, which it sees
    without labels. Deviations: the bias after it is trained throughout, not for three epochs; no averaging of weights
    (Lookahead); the last, smaller batch of an epoch is not dropped; test images are scored as they are (with
    ``test_flip`` in the recipe, with their mirror images too, as a metric of its own); sides other than 32 px are
    pooled to one value.

    Args:
        shape: (C, H, W) of an image; sides of at least 10 px.
        num_classes: size of the output.
        width: factor of the channels 64, 256 and 256; the published network has 1. Time grows with its square.

    Returns:
        float [B, C, H, W] -> logits [B, num_classes]; random weights from torch's global generator, which the caller
        seeds; 3x3 convolutions start as the identity on their first inputs.

    Raises:
        SpecError: ``shape`` is not that of an image, or too small.
    """
    from bench.models._speedrun import Speedrun

    if len(shape) != 3 or min(shape[1:]) < 10:
        raise SpecError(f"model 'speedrun' takes images (C, H, W) with sides of at least 10 px, got {tuple(shape)}.")
    widths = [max(8, 8 * round(width * channels / 8)) for channels in (64, 256, 256)]
    return Speedrun(shape[0], num_classes, widths)
