"""Any of timm's networks as an encoder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench import register_encoder
from bench.embedding.encoder import Encoder
from bench.embedding.supervision import Stated, stated
from bench.plugins import Trained
from bench.weights.locations import Weights
from bench.zoo.parameters import Side

_OWNER = "encoder 'timm'"


def _trained_with(params: Mapping[str, Any]) -> Trained:
    from bench.zoo import with_timm as zoo

    name = str(params.get("name", ""))
    zoo.check(name, owner=_OWNER)
    return stated(params, zoo.trained_with(name), _OWNER)


def _weights(params: Mapping[str, Any]) -> Weights:
    from bench.zoo import with_timm as zoo

    name = str(params.get("name", ""))
    zoo.check(name, owner=_OWNER)
    return zoo.published(name)


@register_encoder("timm", supervision=_trained_with, source="timm, by its names", weights=_weights)
def timm(weights: Path | None, *, name: str = "", size: Side | None = None, supervision: Stated = "auto") -> Encoder:
    """Any network of timm, such as vit_small_patch14_dinov2.lvd142m, with timm's own preprocessing and pooling.

    Args:
        weights: file with timm's parameter names, or with those of authors that timm knows.
        name: timm's name; without a tag it has timm's default weights.
        size: side of the input in pixels; by default the network's.
        supervision: what the weights were trained with, if the tag does not tell or the file is your own.

    Raises:
        BenchError: timm is not installed, or has no such network.
        WeightsError: the file is unreadable or does not fit.
    """
    from bench.embedding.frozen import FrozenEncoder
    from bench.zoo import with_timm as zoo

    network = zoo.headless(name, owner=_OWNER, size=size)
    zoo.fill(network, weights, name, owner=f"timm(name={name})")
    return FrozenEncoder(f"timm(name={name})", network, size=size or zoo.side(name), prepare=zoo.prepared(name, size))
