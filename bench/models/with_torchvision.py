"""Any of torchvision's networks for classification as a model."""

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

_OWNER = "model 'torchvision'"
_AUXILIARY = ("googlenet", "inception_v3")
_AUXILIARY_LAYERS = ("aux1.", "aux2.", "AuxLogits.")
_BUILT_FOR_A_SIZE = ("vit_", "maxvit_")


def _recipe(params: Mapping[str, Any]) -> Mapping[str, Any]:
    return _recipe_of(str(params.get("name", "")))


# Cached by name: a network is built only to inspect its layers.
@lru_cache(64)
def _recipe_of(name: str) -> Mapping[str, Any]:
    from bench.zoo.scaled import recipe_for
    from bench.zoo.with_torchvision import build, check

    check(name, owner=_OWNER, kind="models")
    # AlexNet, SqueezeNet and plain VGGs have no normalisation, and their authors trained them by SGD.
    if name.startswith(("alexnet", "squeezenet", "vgg")):
        return {}
    return recipe_for(lambda: build(name, owner=_OWNER, kind="models"))


@register_model(
    "torchvision",
    inputs="images",
    source="torchvision, by its names",
    recipe=_recipe,
    identified=identified,
    version=2,
)
def torchvision(
    shape: tuple[int, ...],
    num_classes: int,
    *,
    name: str = "",
    size: Side | None = None,
    pretrained: str = "",
    sha256: str = "",
    body_lr: BodyRate = 0.1,
) -> nn.Module:
    """Any of torchvision's networks, such as mobilenet_v3_small, from scratch or fine-tuned (pretrained=FILE).

    Networks without BatchNorm are trained by AdamW with a warm-up, except AlexNet, SqueezeNet and VGG. Images are
    normalised by the data set's mean and standard deviation, or in fine-tuning by those that torchvision states for the
    weights; one channel is repeated to three. Auxiliary classifiers are left out. If the number of classes differs, the
    classifier starts with random weights.

    Args:
        shape: (C, H, W) of an image.
        num_classes: size of the output.
        name: torchvision's name.
        size: side to which images are scaled; by default they are not scaled.
        pretrained: file of initial weights, safetensors or a .pt or .pth of plain tensors.
        sha256: first 16 digits of the file's SHA-256, which a run fills in.
        body_lr: learning rate in fine-tuning of all layers but the last, as a factor of the recipe's; with 0 only
            BatchNorm's statistics change.

    Returns:
        float [B, C, H, W] -> logits [B, num_classes]; random weights from torch's global generator, which the caller
        seeds.

    Raises:
        SpecError: torchvision has no such network, or the size does not suit it.
        WeightsError: the weights do not suit the network.
    """
    from bench.zoo.scaled import Scaled, check_images
    from bench.zoo.with_torchvision import build

    check_images(shape, _OWNER)
    side = size or max(shape[1:])
    options: dict[str, Any] = {"num_classes": num_classes}
    # In training they return a tuple, which the training loop does not support.
    if name in _AUXILIARY:
        options |= {"aux_logits": False, "transform_input": False}
    if name.startswith(_BUILT_FOR_A_SIZE):
        options |= {"image_size": side} if name.startswith("vit_") else {"input_size": (side, side)}
    network = build(name, owner=_OWNER, kind="models", **options)
    scaled = size if shape[1] == shape[2] else side
    if pretrained:
        return _fine_tuned(network, scaled, name, Path(pretrained), sha256, body_lr)
    return Scaled(network, scaled)


def _fine_tuned(network: nn.Module, size: int | None, name: str, path: Path, sha256: str, body_lr: float) -> nn.Module:
    from bench.errors import WeightsError
    from bench.weights.checkpoints import load_weights, read_state
    from bench.zoo import with_torchvision
    from bench.zoo.empty import empty
    from bench.zoo.pretrained import nearest_fit
    from bench.zoo.scaled import FineTuned

    path = local_path(path)
    checked_digest(str(path), sha256)
    head = (f"{with_torchvision.classifier(network)}.",)
    convert = with_torchvision.at_its_size(network)
    try:
        load_weights(
            network, path, owner="torchvision", kind="model", ignore=_AUXILIARY_LAYERS, convert=convert, fresh=head
        )
    except WeightsError as error:

        def other(near: str) -> tuple[nn.Module, tuple[str, ...]]:
            network = empty(lambda: with_torchvision.build(near, owner=_OWNER, kind="models"))
            return network, (f"{with_torchvision.classifier(network)}.",)

        fits = nearest_fit(read_state(path), name, with_torchvision.names(), other)
        raise WeightsError(f"{error} It was to fill {name}.{fits}") from error
    mean, std = with_torchvision.normalisation(name, owner=_OWNER)
    return FineTuned(network, size, mean=mean, std=std, head=head, body_lr=body_lr)
