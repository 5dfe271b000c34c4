"""Networks and their published weights by torchvision's names, such as ``convnext_tiny`` and ``IMAGENET1K_V1``."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.data import IMAGENET_MEAN, IMAGENET_STD
from bench.weights.locations import OwnWeights, UrlWeights, Weights
from bench.zoo.names import known

if TYPE_CHECKING:
    from torch import Tensor, nn

    from bench.zoo.preparation import Preparation

EXAMPLE = "convnext_tiny"
# The published weights of these two expect inputs that the networks scale once more.
_SCALED_AGAIN = ("googlenet", "inception_v3")


@lru_cache(1)
def names() -> frozenset[str]:
    """Return all of torchvision's networks for classification."""
    from torchvision import models

    # ``module`` excludes the names of networks for detection, segmentation and video.
    return frozenset(models.list_models(module=models))


def check(name: str, *, owner: str, kind: str = "encoders") -> None:
    """Refuse an unknown name.

    Raises:
        SpecError: the name is unknown; the message has the nearest ones.
    """
    known(name, names(), owner=owner, example=EXAMPLE, kind=kind)


def weights_of(name: str, tag: str, *, owner: str) -> Any:
    """Return torchvision's entry of published weights; None if it has none for the network.

    Args:
        name: name of the network.
        tag: tag of the weights, such as ``IMAGENET1K_V1``; empty for torchvision's default.
        owner: the plugin that needs them, for messages.

    Raises:
        UnknownName: the tag is unknown.
    """
    from torchvision.models import get_model_weights

    choices = get_model_weights(name)
    # By its length: an enumeration without members is truthy.
    if not len(choices):
        return None
    if not tag:
        return choices.DEFAULT
    return choices[known(tag, list(choices.__members__), owner=f"weights of {name}, {owner}", example="IMAGENET1K_V1")]


def published(name: str, tag: str, *, owner: str) -> Weights:
    """Return where weights are published; arguments as ``weights_of``."""
    entry = weights_of(name, tag, owner=owner)
    if entry is None:
        return OwnWeights(
            f"torchvision's {name}", f"give a file as torchvision(name={name}, supervision=..., weights=FILE)"
        )
    # torchvision ends its file names with the first eight characters of the SHA-256.
    return UrlWeights(entry.url, Path(entry.url).stem.rpartition("-")[2])


def build(name: str, *, owner: str, kind: str = "encoders", **options: Any) -> nn.Module:
    """Return one of torchvision's networks with random weights and its classifier.

    Raises:
        SpecError: the name is unknown; the message has the nearest ones.
    """
    from torchvision.models import get_model

    check(name, owner=owner, kind=kind)
    if name in _SCALED_AGAIN:
        # Without this argument they warn about their slow initialisation, which weights replace.
        options = {"init_weights": True, "transform_input": True, **options}
    return get_model(name, weights=None, **options)


def classifier(network: nn.Module) -> str:
    """Return the name of the classifier: the last linear layer, or the last convolution if there is none."""
    from torch import nn

    layers = {name: module for name, module in network.named_modules() if isinstance(module, nn.Linear | nn.Conv2d)}
    linear = [name for name, module in layers.items() if isinstance(module, nn.Linear)]
    return linear[-1] if linear else list(layers)[-1]


def headless(network: nn.Module) -> tuple[nn.Module, str]:
    """Remove the classifier, so that the network returns features; return the network and the classifier's prefix."""
    from torch import nn

    name = classifier(network)
    parent, _, child = name.rpartition(".")
    setattr(network.get_submodule(parent), child, nn.Identity())
    return network, f"{name}."


def prepared(weights: Any, size: int | None) -> tuple[Preparation, int]:
    """Return the preparation of images as in torchvision's evaluation, and the side of the input.

    Args:
        weights: from ``weights_of``.
        size: side of the input in pixels; None for that of the weights. The ratio of resizing to cropping is kept.
    """
    from torchvision.transforms import functional

    from bench.zoo.preparation import Preparation

    preset = weights.transforms()
    default_crop, default_resize = preset.crop_size[0], preset.resize_size[0]
    crop = size or default_crop
    resized = round(crop * default_resize / default_crop)

    def cut(images: Tensor) -> Tensor:
        scaled = functional.resize(images, [resized], interpolation=preset.interpolation, antialias=preset.antialias)
        return functional.center_crop(scaled, [crop])

    return Preparation(cut, preset.mean, preset.std), crop


def normalisation(name: str, *, owner: str) -> tuple[Sequence[float], Sequence[float]]:
    """Return mean and std, per channel in [0, 1], that the published weights of a network were learned with."""
    weights = weights_of(name, "", owner=owner)
    if weights is None:
        return IMAGENET_MEAN, IMAGENET_STD
    preset = weights.transforms()
    return preset.mean, preset.std


def at_its_size(network: nn.Module) -> Callable[[dict[str, Tensor]], dict[str, Tensor]]:
    """Return a conversion of a transformer's parameters from another image size to the network's."""
    from torchvision.models.vision_transformer import VisionTransformer, interpolate_embeddings

    if not isinstance(network, VisionTransformer):
        return dict
    side, patch = network.image_size, network.patch_size

    def interpolated(state: dict[str, Tensor]) -> dict[str, Tensor]:
        if "encoder.pos_embedding" not in state:
            return dict(state)
        return dict(interpolate_embeddings(side, patch, OrderedDict(state)))

    return interpolated
