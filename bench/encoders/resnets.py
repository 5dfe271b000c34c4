"""ResNets by short names: torchvision's supervised ones, and the self-supervised ResNet-50 of DINO and SwAV.

All take a weights file with torchvision's parameter names and the side of the input in pixels; see ``_encoder``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from bench import register_encoder
from bench.embedding.encoder import Encoder
from bench.weights.locations import TorchvisionWeights, UrlWeights

Size = Annotated[int, Field(ge=32)]
# The classifier of supervised training, and the heads that self-supervised training discards.
_HEADS = ("fc.", "head.", "projection_head.", "prototypes.")


@register_encoder(
    "resnet18_imagenet",
    supervision="labels",
    source="He et al. 2016 (arXiv:1512.03385); torchvision ResNet18_Weights.IMAGENET1K_V1",
    weights=TorchvisionWeights("ResNet18_Weights.IMAGENET1K_V1"),
)
def resnet18_imagenet(weights: Path | None, *, size: Size = 224) -> Encoder:
    """ResNet-18 trained on ImageNet-1k labels, 512 pooled features."""
    return _encoder("resnet18_imagenet", "resnet18", weights, size)


@register_encoder(
    "resnet50_imagenet",
    supervision="labels",
    source="He et al. 2016 (arXiv:1512.03385); torchvision ResNet50_Weights.IMAGENET1K_V1",
    weights=TorchvisionWeights("ResNet50_Weights.IMAGENET1K_V1"),
)
def resnet50_imagenet(weights: Path | None, *, size: Size = 224) -> Encoder:
    """ResNet-50 trained on ImageNet-1k labels, 2048 pooled features."""
    return _encoder("resnet50_imagenet", "resnet50", weights, size)


@register_encoder(
    "dino_resnet50",
    supervision="self-supervised",
    source="Caron et al. 2021 (arXiv:2104.14294), DINO ResNet-50",
    # The authors published no digest of this file, nor of SwAV's.
    weights=UrlWeights("https://dl.fbaipublicfiles.com/dino/dino_resnet50_pretrain/dino_resnet50_pretrain.pth"),
)
def dino_resnet50(weights: Path | None, *, size: Size = 224) -> Encoder:
    """ResNet-50 trained by DINO on ImageNet without labels, 2048 pooled features."""
    return _encoder("dino_resnet50", "resnet50", weights, size)


@register_encoder(
    "swav_resnet50",
    supervision="self-supervised",
    source="Caron et al. 2020 (arXiv:2006.09882), SwAV ResNet-50, 800 epochs",
    weights=UrlWeights("https://dl.fbaipublicfiles.com/deepcluster/swav_800ep_pretrain.pth.tar"),
)
def swav_resnet50(weights: Path | None, *, size: Size = 224) -> Encoder:
    """ResNet-50 trained by SwAV on ImageNet without labels, 2048 pooled features; projection and prototypes dropped."""
    return _encoder("swav_resnet50", "resnet50", weights, size)


def _encoder(name: str, architecture: str, weights: Path | None, size: int) -> Encoder:
    """Return a ResNet as in ``torchvision(name=...)``, but with images that are scaled to ``size`` without cropping.

    Args:
        name: name of the encoder, for messages.
        architecture: torchvision's name.
        weights: file with torchvision's parameter names. The authors' training checkpoints work too (for DINO, the
            teacher is used), and so does a file of torchvision's V2 recipe; V1 is the one that is fetched.
        size: side of the input in pixels.

    Raises:
        WeightsError: the file is unreadable or does not fit.
    """
    from bench.embedding.frozen import FrozenEncoder
    from bench.weights.checkpoints import load_weights
    from bench.zoo.with_torchvision import build, headless

    network, _ = headless(build(architecture, owner=f"encoder {name!r}"))
    return FrozenEncoder(name, load_weights(network, weights, owner=name, ignore=_HEADS), size=size)
