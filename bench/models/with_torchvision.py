"""Any of torchvision's networks for classification as a model."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from bench import register_model
from bench.zoo.parameters import Side

if TYPE_CHECKING:
    from torch import nn

_OWNER = "model 'torchvision'"
_AUXILIARY = ("googlenet", "inception_v3")
_BUILT_FOR_A_SIZE = ("vit_", "maxvit_")


def _recipe(params: Mapping[str, Any]) -> Mapping[str, Any]:
    return _recipe_of(str(params.get("name", "")))


@lru_cache(64)
def _recipe_of(name: str) -> Mapping[str, Any]:
    from bench.zoo.scaled import recipe_for
    from bench.zoo.with_torchvision import build, check

    check(name, owner=_OWNER, kind="models")
    # AlexNet, SqueezeNet and plain VGGs have no normalisation at all, and their authors trained them by SGD.
    if name.startswith(("alexnet", "squeezenet", "vgg")):
        return {}
    return recipe_for(lambda: build(name, owner=_OWNER, kind="models"))


@register_model("torchvision", inputs="images", source="torchvision, by its names", recipe=_recipe)
def torchvision(shape: tuple[int, ...], num_classes: int, *, name: str = "", size: Side | None = None) -> nn.Module:
    """Any of torchvision's networks for classification, such as mobilenet_v3_small, trained from scratch.

    Networks without BatchNorm are trained by AdamW with a warm-up, but for the oldest. Images are normalised by the
    data set's mean and standard deviation, and one channel is repeated to three. Auxiliary classifiers are left out.

    Args:
        shape: (C, H, W) of an image.
        num_classes: size of the output.
        name: as torchvision spells it.
        size: side that images are scaled to first; by default they stay as they are.

    Returns:
        float [B, C, H, W] -> logits [B, num_classes]; random weights from torch's global generator, which the caller
        seeds.

    Raises:
        SpecError: torchvision has no such network, or the size does not suit it.
    """
    from bench.zoo.scaled import Scaled, check_images
    from bench.zoo.with_torchvision import build

    check_images(shape, _OWNER)
    side = size or max(shape[1:])
    options: dict[str, Any] = {"num_classes": num_classes}
    # They return a tuple while they train, of which the loop knows nothing.
    if name in _AUXILIARY:
        options |= {"aux_logits": False, "transform_input": False}
    if name.startswith(_BUILT_FOR_A_SIZE):
        options |= {"image_size": side} if name.startswith("vit_") else {"input_size": (side, side)}
    network = build(name, owner=_OWNER, kind="models", **options)
    return Scaled(network, size if shape[1] == shape[2] else side)
