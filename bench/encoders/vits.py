"""Vision transformers by short names: DINO, DINOv2 and CLIP; ``timm(name=...)`` has many others.

All take a weights file, timm's or the authors', and the side of the input in pixels; see ``_encoder``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from bench import register_encoder
from bench.data import IMAGENET_MEAN, IMAGENET_STD
from bench.embedding.encoder import Encoder
from bench.weights.locations import HubWeights

Size16 = Annotated[int, Field(ge=32, multiple_of=16)]
Size14 = Annotated[int, Field(ge=28, multiple_of=14)]
Size32 = Annotated[int, Field(ge=64, multiple_of=32)]

# OpenAI's parameter names to timm's, in this order: "ln_" must come after the names that contain it.
_CLIP_NAMES = (
    ("class_embedding", "cls_token"),
    ("positional_embedding", "pos_embed"),
    ("conv1.", "patch_embed.proj."),
    ("ln_pre.", "norm_pre."),
    ("ln_post.", "norm."),
    ("transformer.resblocks.", "blocks."),
    ("ln_", "norm"),
    ("in_proj_", "qkv."),
    ("out_proj.", "proj."),
    ("c_fc.", "fc1."),
    ("c_proj.", "fc2."),
)


@register_encoder(
    "dino_vits16",
    supervision="self-supervised",
    source="Caron et al. 2021 (arXiv:2104.14294), DINO ViT-S/16",
    weights=HubWeights("timm/vit_small_patch16_224.dino"),
)
def dino_vits16(weights: Path | None, *, size: Size16 = 224) -> Encoder:
    """ViT-S/16 trained by DINO on ImageNet without labels, 384 features of the class token."""
    return _encoder("dino_vits16", "vit_small_patch16_224", weights, size)


@register_encoder(
    "dino_vitb16",
    supervision="self-supervised",
    source="Caron et al. 2021 (arXiv:2104.14294), DINO ViT-B/16",
    weights=HubWeights("timm/vit_base_patch16_224.dino"),
)
def dino_vitb16(weights: Path | None, *, size: Size16 = 224) -> Encoder:
    """ViT-B/16 trained by DINO on ImageNet without labels, 768 features of the class token."""
    return _encoder("dino_vitb16", "vit_base_patch16_224", weights, size)


@register_encoder(
    "dinov2_vits14",
    supervision="self-supervised",
    source="Oquab et al. 2024 (arXiv:2304.07193), DINOv2 ViT-S/14 without registers, LVD-142M",
    weights=HubWeights("timm/vit_small_patch14_dinov2.lvd142m"),
)
def dinov2_vits14(weights: Path | None, *, size: Size14 = 224) -> Encoder:
    """ViT-S/14 trained by DINOv2 on LVD-142M without labels, 384 features of the class token."""
    return _encoder("dinov2_vits14", "vit_small_patch14_dinov2", weights, size)


@register_encoder(
    "clip_vitb32",
    supervision="language",
    source="Radford et al. 2021 (arXiv:2103.00020), OpenAI's CLIP ViT-B/32",
    weights=HubWeights("timm/vit_base_patch32_clip_224.openai"),
)
def clip_vitb32(weights: Path | None, *, size: Size32 = 224) -> Encoder:
    """Image tower of OpenAI's CLIP ViT-B/32, 768 features of the class token before the projection to the text space.

    Source: timm's architecture with QuickGELU, with which OpenAI trained; timm's model of the plain name has GELU
    instead and gives slightly different features with the same weights.
    """
    return _encoder(
        "clip_vitb32",
        "vit_base_patch32_clip_quickgelu_224",
        weights,
        size,
        convert=clip_to_timm_names,
        mean=(0.48145466, 0.4578275, 0.40821073),
        std=(0.26862954, 0.26130258, 0.27577711),
    )


def clip_to_timm_names(state: Mapping[str, Any]) -> dict[str, Any]:
    """Return the image tower of an OpenAI CLIP state dict with timm's names; a state with timm's names stays as it is.

    Args:
        state: parameter names to tensors.

    Returns:
        Only the image tower, without the projection to the text space; class token and position embeddings have
        timm's leading axes.
    """
    if "visual.class_embedding" not in state:
        return dict(state)
    renamed = {}
    for name, value in state.items():
        # The text tower has similar names, and the projection is not part of the features.
        if not name.startswith("visual.") or name == "visual.proj":
            continue
        name = name.removeprefix("visual.")
        for theirs, ours in _CLIP_NAMES:
            name = name.replace(theirs, ours)
        renamed[name] = value.reshape(1, -1, value.shape[-1]) if name in ("cls_token", "pos_embed") else value
    return renamed


def _encoder(
    owner: str,
    name: str,
    weights: Path | None,
    size: int,
    *,
    convert: Callable[[Any], dict[str, Any]] = dict,
    mean: Sequence[float] = IMAGENET_MEAN,
    std: Sequence[float] = IMAGENET_STD,
) -> Encoder:
    """Return a vision transformer of timm, but with images that are scaled to ``size`` without cropping.

    Args:
        owner: name of the encoder, for messages.
        name: timm's name of the architecture.
        weights: timm's file, or the authors'. DINO's has the same names; DINOv2's also has a mask token, which is
            dropped; CLIP's is a state dict with ``visual.*``, of which the text tower is dropped.
        size: side of the input in pixels, a multiple of the patch's; position embeddings are interpolated.
        convert: converts the file's parameter names to timm's.
        mean: per channel, in [0, 1].
        std: per channel, in [0, 1].

    Raises:
        BenchError: timm is not installed.
        WeightsError: the file is unreadable or does not fit.
    """
    from bench.embedding.frozen import FrozenEncoder
    from bench.weights.checkpoints import load_weights
    from bench.zoo.with_timm import build

    # ``dynamic_img_size``: without it, timm refuses all sizes but that of its training.
    network = build(name, owner=f"encoder {owner!r}", size=None, num_classes=0, dynamic_img_size=True)
    # DINOv2's mask token is only used in its training.
    load_weights(network, weights, owner=owner, ignore=("head.", "mask_token"), convert=convert)
    return FrozenEncoder(owner, network, size=size, mean=mean, std=std)
