"""Any of timm's networks as a model."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from bench import register_model
from bench.zoo.parameters import Side

if TYPE_CHECKING:
    from torch import nn

_OWNER = "model 'timm'"


def _recipe(params: Mapping[str, Any]) -> Mapping[str, Any]:
    return _recipe_of(str(params.get("name", "")))


@lru_cache(64)
def _recipe_of(name: str) -> Mapping[str, Any]:
    from bench.zoo.scaled import recipe_for
    from bench.zoo.with_timm import build, check

    check(name, owner=_OWNER, kind="models")
    return recipe_for(lambda: build(name, owner=_OWNER, size=None, kind="models"))


@register_model("timm", inputs="images", source="timm, by its names", recipe=_recipe)
def timm(shape: tuple[int, ...], num_classes: int, *, name: str = "", size: Side | None = None) -> nn.Module:
    """Any network of timm, such as resnet50 or vit_tiny_patch16_224, trained from scratch.

    Networks without BatchNorm are trained by AdamW with a warm-up. Images are normalised by the data set's mean and
    standard deviation, and one channel is repeated to three.

    Args:
        shape: (C, H, W) of an image.
        num_classes: size of the output.
        name: as timm spells it; a tag changes nothing.
        size: side that images are scaled to first; by default they stay as they are, and a transformer is built for
            them.

    Returns:
        float [B, C, H, W] -> logits [B, num_classes]; random weights from torch's global generator, which the caller
        seeds.

    Raises:
        BenchError: timm is not installed, has no such network, or the size does not suit it.
    """
    from bench.zoo.scaled import Scaled, check_images
    from bench.zoo.with_timm import build

    check_images(shape, _OWNER)
    side = size or max(shape[1:])
    network = build(name, owner=_OWNER, size=side, kind="models", num_classes=num_classes)
    # Images that are not square are made so, since a transformer is built for one side.
    return Scaled(network, size if shape[1] == shape[2] else side)
