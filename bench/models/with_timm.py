"""Any of timm's networks as a model."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import register_model
from bench.addresses import local_path
from bench.zoo.parameters import Side
from bench.zoo.pretrained import BodyRate, checked_digest, identified

if TYPE_CHECKING:
    from torch import nn

_OWNER = "model 'timm'"


def _recipe(params: Mapping[str, Any]) -> Mapping[str, Any]:
    return _recipe_of(str(params.get("name", "")))


# Cached by name: a network is built only to inspect its layers.
@lru_cache(64)
def _recipe_of(name: str) -> Mapping[str, Any]:
    from bench.zoo.scaled import recipe_for
    from bench.zoo.with_timm import build, check

    check(name, owner=_OWNER, kind="models")
    return recipe_for(lambda: build(name, owner=_OWNER, size=None, kind="models"))


@register_model("timm", inputs="images", source="timm, by its names", recipe=_recipe, identified=identified, version=2)
def timm(
    shape: tuple[int, ...],
    num_classes: int,
    *,
    name: str = "",
    size: Side | None = None,
    pretrained: str = "",
    sha256: str = "",
    body_lr: BodyRate = 0.1,
) -> nn.Module:
    """Any network of timm, such as resnet50 or vit_tiny_patch16_224, from scratch or fine-tuned (pretrained=FILE).

    Networks without BatchNorm are trained by AdamW with a warm-up. Images are normalised by the data set's mean and
    standard deviation, or in fine-tuning by those that timm states for the weights; one channel is repeated to three.
    If the number of classes differs, the classifier starts with random weights.

    Args:
        shape: (C, H, W) of an image.
        num_classes: size of the output.
        name: timm's name; a tag has no effect.
        size: side to which images are scaled; by default they are not scaled, and a transformer is built for their
            size.
        pretrained: file of initial weights, safetensors or a .pt or .pth of plain tensors.
        sha256: first 16 digits of the file's SHA-256, which a run fills in.
        body_lr: learning rate in fine-tuning of all layers but the last, as a factor of the recipe's; with 0 only
            BatchNorm's statistics change.

    Returns:
        float [B, C, H, W] -> logits [B, num_classes]; random weights from torch's global generator, which the caller
        seeds.

    Raises:
        BenchError: timm is not installed, has no such network, or the size or the weights do not suit it.
    """
    from bench.zoo.scaled import Scaled, check_images
    from bench.zoo.with_timm import build

    check_images(shape, _OWNER)
    side = size or max(shape[1:])
    network = build(name, owner=_OWNER, size=side, kind="models", num_classes=num_classes)
    # Images that are not square are scaled to a square, since a transformer is built for one side.
    scaled = size if shape[1] == shape[2] else side
    if pretrained:
        return _fine_tuned(network, scaled, name, Path(pretrained), sha256, body_lr)
    return Scaled(network, scaled)


def _fine_tuned(network: nn.Module, size: int | None, name: str, path: Path, sha256: str, body_lr: float) -> nn.Module:
    from bench.errors import WeightsError
    from bench.weights.checkpoints import read_state
    from bench.zoo import with_timm
    from bench.zoo.pretrained import nearest_fit
    from bench.zoo.scaled import FineTuned

    path = local_path(path)
    # Checked again before training: the file may have changed since the run was planned.
    checked_digest(str(path), sha256)
    head = with_timm.classifier_of(network)
    try:
        with_timm.fill(network, path, name, owner="timm", kind="model", fresh=head)
    except WeightsError as error:

        def other(near: str) -> tuple[nn.Module, tuple[str, ...]]:
            network = with_timm.bare(near)
            return network, with_timm.classifier_of(network)

        fits = nearest_fit(read_state(path), name, with_timm.architectures(), other)
        raise WeightsError(f"{error} It was to fill {name}.{fits}") from error
    mean, std = with_timm.normalisation(name)
    return FineTuned(network, size, mean=mean, std=std, head=head, body_lr=body_lr)
