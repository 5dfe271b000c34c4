"""Any of open_clip's models as an encoder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench import register_encoder
from bench.embedding.encoder import Encoder
from bench.embedding.supervision import Stated, stated
from bench.plugins import Trained
from bench.weights.locations import Weights

_OWNER = "encoder 'open_clip'"


def _trained_with(params: Mapping[str, Any]) -> Trained:
    # All weights of open_clip were trained on images with texts.
    return stated(params, "language", _OWNER)


def _weights(params: Mapping[str, Any]) -> Weights:
    from bench.zoo import with_open_clip as zoo

    name, tag = str(params.get("name", "")), str(params.get("pretrained", ""))
    zoo.check(name, tag, owner=_OWNER)
    return zoo.published(name, tag)


@register_encoder("open_clip", supervision=_trained_with, source="open_clip, by its names", weights=_weights)
def open_clip(weights: Path | None, *, name: str = "", pretrained: str = "", supervision: Stated = "auto") -> Encoder:
    """Image tower of any model of open_clip, such as ViT-B-32 with openai, with its own preprocessing and projection.

    Args:
        weights: file with open_clip's parameter names, of the whole model or of the image tower.
        name: open_clip's name of the model.
        pretrained: tag of the published weights, whose preprocessing and activation are used, whatever the file.
        supervision: what your own file was trained with; by default language.

    Raises:
        BenchError: open_clip is not installed, or has no such model.
        WeightsError: the file is unreadable or does not fit.
    """
    from bench.embedding.frozen import FrozenEncoder
    from bench.weights.checkpoints import load_weights
    from bench.zoo import with_open_clip as zoo

    zoo.check(name, pretrained, owner=_OWNER)
    label = f"open_clip(name={name})"
    tower = zoo.image_tower(name, pretrained)
    load_weights(tower, weights, owner=label, convert=zoo.image_part)
    prepare, side = zoo.prepared(name, pretrained)
    return FrozenEncoder(label, tower, size=side, prepare=prepare)
