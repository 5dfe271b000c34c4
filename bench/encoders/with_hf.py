"""Image networks of the Hugging Face hub as encoders, through transformers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench import register_encoder
from bench.embedding.encoder import Encoder
from bench.embedding.supervision import Stated, stated
from bench.errors import SpecError
from bench.plugins import Trained
from bench.weights.locations import HubWeights, Weights

_OWNER = "encoder 'hf'"
_BESIDE = ("config.json", "preprocessor_config.json")
# Repositories only describe their networks in prose, and a network with a similar name may have been tuned with labels.
# These are known by their full names, or by an owner all of whose networks with the name were trained alike.
_KNOWN: tuple[tuple[Trained, str], ...] = (
    ("self-supervised", r"facebook/dinov2(-with-registers)?-(small|base|large|giant)"),
    ("self-supervised", r"facebook/dinov3-[a-z0-9-]+-pretrain-(lvd1689m|sat493m)"),
    ("self-supervised", r"facebook/dino-vit[sb](8|16)"),
    ("self-supervised", r"facebook/vit-mae-(base|large|huge)"),
    ("self-supervised", r"facebook/vit-msn-(small|base|large|base-4|large-7)"),
    ("self-supervised", r"facebook/ijepa_vit[hg]1[46]_(1k|22k)"),
    ("self-supervised", r"facebook/data2vec-vision-(base|large)"),
    ("self-supervised", r"microsoft/beit-(base|large)-patch16-224-pt22k"),
    ("language", r"openai/clip-vit-.+"),
    ("language", r"laion/CLIP-ViT-.+"),
    ("language", r"google/siglip2?-.+"),
    ("language", r"facebook/metaclip-.+"),
    ("language", r"kakaobrain/align-base"),
)


def _name(params: Mapping[str, Any]) -> str:
    name = str(params.get("name", ""))
    if name.count("/") != 1 or not all(name.split("/")):
        raise SpecError(f"{_OWNER} needs the name of a repository, such as name=facebook/dinov2-base, got {name!r}.")
    return name


def _trained_with(params: Mapping[str, Any]) -> Trained:
    name = _name(params)
    return stated(params, next((kind for kind, pattern in _KNOWN if re.fullmatch(pattern, name)), None), _OWNER)


def _weights(params: Mapping[str, Any]) -> Weights:
    return HubWeights(_name(params), beside=_BESIDE, extra="hf")


def _files(weights: Path) -> list[Path]:
    """Return the weights, and the files with the settings of the network and of its images."""
    # All of them: with other settings, the same weights give other embeddings.
    return [weights, *(weights.with_name(name) for name in _BESIDE)]


@register_encoder(
    "hf",
    supervision=_trained_with,
    source="the Hugging Face hub, by its names, through transformers",
    weights=_weights,
    files=_files,
    version=2,
)
def hf(weights: Path | None, *, name: str = "", supervision: Stated = "auto") -> Encoder:
    """An image network of the Hugging Face hub, such as facebook/dinov2-base, with its own preprocessing.

    Features are the projection to the text space if there is one, else the pooled output, else the class token, else
    the mean over positions. Only the repository's tensors and settings are read; no code of it is run.

    Args:
        weights: a safetensors file next to its ``config.json`` and ``preprocessor_config.json``.
        name: name of the repository.
        supervision: what the network was trained with, if the name does not tell or the file is your own.

    Raises:
        BenchError: transformers is not installed.
        WeightsError: the file is unreadable, does not fit, or lacks its settings; or its network cannot embed an image,
            or embeds an image differently at every call.
    """
    from bench.embedding.frozen import FrozenEncoder
    from bench.zoo import with_hf as zoo

    network, prepare, side = zoo.load(weights, owner=_OWNER)
    return FrozenEncoder(f"hf(name={name})", network, size=side, prepare=prepare)
