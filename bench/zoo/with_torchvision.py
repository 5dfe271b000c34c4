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
# Their published weights were made with inputs that these two scale once more.
_SCALED_AGAIN = ("googlenet", "inception_v3")


@lru_cache(1)
def names() -> frozenset[str]:
    """Return all of torchvision's networks for classification."""
    from torchvision import models

    # Without ``module`` the names of detection, segmentation and video are among them.
    return frozenset(models.list_models(module=models))


def check(name: str, *, owner: str, kind: str = "encoders") -> None:
    """Look a name up.

    Raises:
        SpecError: no such name, with the nearest ones.
    """
    known(name, names(), owner=owner, example=EXAMPLE, kind=kind)


def weights_of(name: str, tag: str, *, owner: str) -> Any:
    """Return torchvision's entry of published weights; None where it has none of that network.

    Args:
        name: of the network.
        tag: of the weights, such as ``IMAGENET1K_V1``; empty for torchvision's default.
        owner: what needs them, for messages.

    Raises:
        UnknownName: no such tag.
    """
    from torchvision.models import get_model_weights

    choices = get_model_weights(name)
    # By its length: an enumeration without members is true.
    if not len(choices):
        return None
    if not tag:
        return choices.DEFAULT
    return choices[known(tag, list(choices.__members__), owner=f"weights of {name}, {owner}", example="IMAGENET1K_V1")]


def published(name: str, tag: str, *, owner: str) -> Weights:
    """Return where weights are published; arguments as for ``weights_of``."""
    entry = weights_of(name, tag, owner=owner)
    if entry is None:
        return OwnWeights(
            f"torchvision's {name}", f"give a file as torchvision(name={name}, supervision=..., weights=FILE)"
        )
    # torchvision ends its file names with the first eight characters of the SHA-256.
    return UrlWeights(entry.url, Path(entry.url).stem.rpartition("-")[2])


def build(name: str, *, owner: str, kind: str = "encoders", **options: Any) -> nn.Module:
    """Build one of torchvision's networks with random weights and its classifier.

    Raises:
        SpecError: no such name, with the nearest ones.
    """
    from torchvision.models import get_model

    check(name, owner=owner, kind=kind)
    if name in _SCALED_AGAIN:
        # Their slow initialisation is replaced by weights; without this argument they warn.
        options = {"init_weights": True, "transform_input": True, **options}
    return get_model(name, weights=None, **options)


def classifier(network: nn.Module) -> str:
    """Name of the last linear layer, or of the last convolution where there is none: it makes the classes."""
    from torch import nn

    layers = {name: module for name, module in network.named_modules() if isinstance(module, nn.Linear | nn.Conv2d)}
    linear = [name for name, module in layers.items() if isinstance(module, nn.Linear)]
    return linear[-1] if linear else list(layers)[-1]


def headless(network: nn.Module) -> tuple[nn.Module, str]:
    """Replace the classifier by nothing, so that the network gives what it classifies by; return both, by name."""
    from torch import nn

    name = classifier(network)
    parent, _, child = name.rpartition(".")
    setattr(network.get_submodule(parent), child, nn.Identity())
    return network, f"{name}."


def prepared(weights: Any, size: int | None) -> tuple[Preparation, int]:
    """Images as torchvision's own evaluation gives them to the network, and the side of the input.

    Args:
        weights: from ``weights_of``.
        size: side of the input in pixels; None for that of the weights, of which the scale before the crop is kept.
    """
    from torchvision.transforms import functional

    from bench.zoo.preparation import Preparation

    preset = weights.transforms()
    own, before = preset.crop_size[0], preset.resize_size[0]
    crop = size or own
    resized = round(crop * before / own)

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
    """Return what turns parameters of a transformer at another size of images into those at the network's own."""
    from torchvision.models.vision_transformer import VisionTransformer, interpolate_embeddings

    if not isinstance(network, VisionTransformer):
        return dict
    side, patch = network.image_size, network.patch_size

    def interpolated(state: dict[str, Tensor]) -> dict[str, Tensor]:
        if "encoder.pos_embedding" not in state:
            return dict(state)
        return dict(interpolate_embeddings(side, patch, OrderedDict(state)))

    return interpolated
