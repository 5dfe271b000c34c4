"""Any of torchvision's networks for classification as an encoder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench import register_encoder
from bench.embedding.encoder import Encoder
from bench.embedding.supervision import Stated, stated
from bench.errors import SpecError
from bench.plugins import Trained
from bench.weights.locations import Weights
from bench.zoo.parameters import Side

_OWNER = "encoder 'torchvision'"


def _trained_with(params: Mapping[str, Any]) -> Trained:
    # All weights of torchvision were trained or tuned with the labels of ImageNet.
    return stated(params, "labels", _OWNER)


def _weights(params: Mapping[str, Any]) -> Weights:
    from bench.zoo import with_torchvision as zoo

    name = str(params.get("name", ""))
    zoo.check(name, owner=_OWNER)
    return zoo.published(name, str(params.get("pretrained", "")), owner=_OWNER)


@register_encoder("torchvision", supervision=_trained_with, source="torchvision, by its names", weights=_weights)
def torchvision(
    weights: Path | None,
    *,
    name: str = "",
    pretrained: str = "",
    size: Side | None = None,
    supervision: Stated = "auto",
) -> Encoder:
    """Any of torchvision's networks for classification, such as convnext_tiny, with its own preprocessing.

    Args:
        weights: file with torchvision's parameter names.
        name: torchvision's name.
        pretrained: tag of the published weights, such as IMAGENET1K_V1, by default torchvision's choice. Their
            preprocessing is used, whatever the file.
        size: side of the input in pixels; by default that of the weights.
        supervision: what your own file was trained with; by default labels.

    Raises:
        SpecError: torchvision has no such network.
        WeightsError: the file is unreadable or does not fit.
    """
    from bench.embedding.frozen import FrozenEncoder
    from bench.weights.checkpoints import load_weights
    from bench.zoo import with_torchvision as zoo

    published = zoo.weights_of(name, pretrained, owner=_OWNER)
    if published is None:
        raise SpecError(f"{_OWNER}: torchvision has no preprocessing for {name}, of which it publishes no weights.")
    network, classifier = zoo.headless(zoo.build(name, owner=_OWNER))
    label = f"torchvision(name={name})"
    load_weights(network, weights, owner=label, ignore=(classifier,))
    prepare, side = zoo.prepared(published, size)
    return FrozenEncoder(label, network, size=side, prepare=prepare)
