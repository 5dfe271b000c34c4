"""ResNets: torchvision's blocks, with the stem that small images need."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from bench import register_model
from bench.errors import SpecError

if TYPE_CHECKING:
    from torch import nn

Stem = Literal["auto", "cifar", "imagenet"]
_SOURCE = "He et al. 2016 (arXiv:1512.03385)"
_CIFAR_UP_TO = 96


@register_model("resnet18", inputs="images", source=_SOURCE)
def resnet18(shape: tuple[int, ...], num_classes: int, *, stem: Stem = "auto") -> nn.Module:
    """ResNet-18, the papers' model for CIFAR.

    Args:
        shape: (C, H, W) of an image.
        num_classes: size of the output.
        stem: first layers: ``cifar`` is a 3x3 convolution of stride 1 without max-pooling, ``imagenet`` is
            torchvision's; ``auto`` is ``cifar`` for sides up to 96 px.

    Returns:
        float [B, C, H, W] -> logits [B, num_classes]; random weights from torch's global generator, which the caller
        seeds.

    Raises:
        SpecError: ``shape`` is not that of an image.
    """
    return _resnet("resnet18", shape, num_classes, stem)


@register_model("resnet34", inputs="images", source=_SOURCE)
def resnet34(shape: tuple[int, ...], num_classes: int, *, stem: Stem = "auto") -> nn.Module:
    """ResNet-34, the papers' model for ImageNet.

    Args:
        shape: (C, H, W) of an image.
        num_classes: size of the output.
        stem: see ``resnet18``.

    Returns:
        float [B, C, H, W] -> logits [B, num_classes]; random weights as for ``resnet18``.

    Raises:
        SpecError: ``shape`` is not that of an image.
    """
    return _resnet("resnet34", shape, num_classes, stem)


@register_model("resnet50", inputs="images", source=_SOURCE)
def resnet50(shape: tuple[int, ...], num_classes: int, *, stem: Stem = "auto") -> nn.Module:
    """ResNet-50, with bottleneck blocks.

    Args:
        shape: (C, H, W) of an image.
        num_classes: size of the output.
        stem: see ``resnet18``.

    Returns:
        float [B, C, H, W] -> logits [B, num_classes]; random weights as for ``resnet18``.

    Raises:
        SpecError: ``shape`` is not that of an image.
    """
    return _resnet("resnet50", shape, num_classes, stem)


def _resnet(name: str, shape: tuple[int, ...], num_classes: int, stem: Stem) -> nn.Module:
    from torch import nn
    from torchvision.models import get_model

    if len(shape) != 3:
        raise SpecError(f"model {name!r} takes images (C, H, W), got {tuple(shape)}.")
    network = get_model(name, weights=None, num_classes=num_classes)
    # torchvision's stem shrinks images to a quarter, which leaves a 32 px image 8 px before the first block.
    small = stem == "cifar" or (stem == "auto" and max(shape[1:]) <= _CIFAR_UP_TO)
    if small or shape[0] != 3:
        kernel, stride, padding = (3, 1, 1) if small else (7, 2, 3)
        network.conv1 = nn.Conv2d(shape[0], 64, kernel, stride, padding, bias=False)
        # torchvision's initialisation, which the replaced layer has not had.
        nn.init.kaiming_normal_(network.conv1.weight, mode="fan_out", nonlinearity="relu")
    if small:
        network.maxpool = nn.Identity()
    return network
