"""A small convolutional network for 8 to 32 px images on one CPU core."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from bench import register_model
from bench.errors import SpecError

if TYPE_CHECKING:
    from torch import nn

_FULL_RESOLUTION_UP_TO = 16


@register_model("small_cnn", inputs="images", source="this project")
def small_cnn(shape: tuple[int, ...], num_classes: int, *, width: Annotated[int, Field(ge=1)] = 32) -> nn.Module:
    """Three blocks of 3x3 convolution, BatchNorm and ReLU, max-pooled between, about 95,000 parameters.

    Source: this project. The first convolution has stride 2 for sides above 16 px, so that a step takes a quarter of
    the time, without loss of accuracy on MNIST and CIFAR-10 in short training.

    Args:
        shape: (C, H, W) of an image; sides of at least 4 px, designed for 8 to 32.
        num_classes: size of the output.
        width: channels of the first block; the second block has twice, the third four times as many. Parameters and
            time grow with the square of the width.

    Returns:
        float [B, C, H, W] -> logits [B, num_classes]; random weights from torch's global generator, which the caller
        seeds.

    Raises:
        SpecError: ``shape`` is not that of an image, or too small.
    """
    from torch import nn

    if len(shape) != 3 or min(shape[1:]) < 4:
        raise SpecError(f"model 'small_cnn' takes images (C, H, W) with sides of at least 4 px, got {tuple(shape)}.")
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    channels = shape[0]
    for number in range(3):
        wide = width << number
        stride = 2 if number == 0 and max(shape[1:]) > _FULL_RESOLUTION_UP_TO else 1
        # No bias: BatchNorm has one.
        layers[f"conv{number}"] = nn.Conv2d(channels, wide, 3, stride, padding=1, bias=False)
        layers[f"norm{number}"] = nn.BatchNorm2d(wide)
        layers[f"relu{number}"] = nn.ReLU(inplace=True)
        layers[f"pool{number}"] = nn.MaxPool2d(2) if number < 2 else nn.AdaptiveAvgPool2d(1)
        channels = wide
    layers["flatten"] = nn.Flatten()
    layers["classifier"] = nn.Linear(channels, num_classes)
    return nn.Sequential(layers)
