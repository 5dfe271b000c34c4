"""Networks and their published weights by timm's names, such as ``vit_small_patch14_dinov2.lvd142m``.

timm is imported inside functions: it takes seconds.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.errors import SpecError
from bench.plugins import Trained
from bench.weights.locations import HubWeights, OwnWeights, UrlWeights, Weights
from bench.zoo.names import known, library

if TYPE_CHECKING:
    from torch import Tensor, nn

    from bench.zoo.preparation import Preparation

EXTRA = "vit"
EXAMPLE = "vit_small_patch14_dinov2.lvd142m"
_LABELLED = re.compile(r"(^|_)in(1k|12k|21k|22k|w21k)(_|$)")
_TUNED = re.compile(r"_ft_in\d+k|_lc_in\d+k")
_SELF = {"dino", "dinov3", "lvd142m", "lvd1689m", "sat493m", "mae", "fcmae", "seer", "ijepa"}
_LANGUAGE = {
    *("openai", "clip", "laion2b", "laion400m", "laiona", "datacomp1b", "datacompxl", "dfn2b", "dfn5b", "metaclip"),
    *("metaclip2", "webli", "yfcc15m", "cc12m", "merged2b", "mclip", "mclip2"),
}
_UNCLEAR = {"eupe", "mim"}
"""EUPE and EVA-02 learn from the features of other networks, some of them trained with language."""
# Other parts of training checkpoints.
_BESIDE = ("mask_token", "head.mlp.", "head.last_layer.")


@lru_cache(1)
def names() -> frozenset[str]:
    """Return all architectures, also with the tags of published weights."""
    import timm

    return frozenset(timm.list_models()) | frozenset(timm.list_models(include_tags=True))


def architectures() -> list[str]:
    """Return all architectures."""
    import timm

    return list(timm.list_models())


def bare(name: str) -> nn.Module:
    """Return one of timm's networks as published, without memory for its weights."""
    import timm

    from bench.zoo.empty import empty

    return empty(lambda: timm.create_model(name, pretrained=False))


def check(name: str, *, owner: str, kind: str = "encoders", extra: str = EXTRA) -> None:
    """Refuse an unknown name.

    Raises:
        BenchError: timm is not installed.
        SpecError: no such name, with the nearest ones.
    """
    library("timm", owner=owner, extra=extra)
    known(name, names(), owner=owner, example=EXAMPLE, kind=kind)


def published(name: str) -> Weights:
    """Return where the weights of a name are published; for an architecture, those of timm's default tag."""
    configuration = _configuration(name)
    if configuration.get("hf_hub_id"):
        file = configuration.get("hf_hub_filename") or "model.safetensors"
        return HubWeights(str(configuration["hf_hub_id"]), str(file))
    if configuration.get("url"):
        return UrlWeights(str(configuration["url"]))
    return OwnWeights(f"timm's {name}", f"give a file as timm(name={name}, supervision=..., weights=FILE)")


def trained_with(name: str) -> Trained | None:
    """Return what weights were trained with, according to the name's tag; None if the tag does not tell.

    The last step of training counts: weights that were tuned with labels were trained with labels.
    """
    tag = str(_configuration(name).get("tag") or "")
    words = set(tag.split("_"))
    if _TUNED.search(tag):
        return "labels"
    # mim_in22k: masked images of ImageNet-22k, without its labels.
    if words & _UNCLEAR and not _LABELLED.search(tag.replace("mim_in22k", "")):
        return None
    if words & _SELF:
        return "self-supervised"
    if words & _LANGUAGE:
        return "language"
    return "labels" if _LABELLED.search(tag) else None


def headless(name: str, *, owner: str, size: int | None = None) -> nn.Module:
    """Return one of timm's networks with random weights, without a classifier: it returns pooled features.

    Args:
        name: timm's name.
        owner: the plugin that needs it, for messages.
        size: side of the input in pixels; None for the network's default.

    Raises:
        SpecError: the name is unknown, or the size does not suit the network.
    """
    import torch

    network = build(name, owner=owner, size=size, num_classes=0)
    if size is not None:
        try:
            with torch.inference_mode():
                # Some networks take any size when they are built, and fail at the first image.
                network.eval()(torch.zeros(1, 3, size, size))
        except Exception as error:  # networks fail in many ways at an unsuitable size
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise SpecError(f"{owner}: {name} does not take images of size={size}: {reason}.") from error
    return network


def build(
    name: str, *, owner: str, size: int | None, kind: str = "encoders", extra: str = EXTRA, **options: Any
) -> nn.Module:
    """Return one of timm's networks with random weights.

    Args:
        name: timm's name.
        owner: the plugin that needs it, for messages.
        size: side of the input in pixels; None for the network's default.
        kind: kind of plugin, for the advice to search with ``bench list``.
        extra: the extra of this project that installs timm.
        options: keywords of ``timm.create_model``.

    Raises:
        BenchError: timm is not installed.
        SpecError: the name is unknown, or the size does not suit the network.
    """
    check(name, owner=owner, kind=kind, extra=extra)
    import timm

    default = _configuration(name).get("input_size", (3, 224, 224))
    if size is not None and (size, size) != tuple(default[1:]):
        try:
            return timm.create_model(name, pretrained=False, img_size=size, **options)
        except TypeError:
            pass  # convolutional networks take any size, and have no such argument
        except (AssertionError, ValueError, RuntimeError) as error:
            raise SpecError(f"{owner}: {name} does not take images of size={size}: {error}.") from error
    return timm.create_model(name, pretrained=False, **options)


def fill(
    network: nn.Module, path: Path | None, name: str, *, owner: str, kind: str = "encoder", fresh: Sequence[str] = ()
) -> None:
    """Load a weights file with timm's parameter names, or with the authors' names if timm can convert them.

    Args:
        network: from ``build``, with or without a classifier.
        path: the file.
        name: timm's name.
        owner: name of the encoder or model, for messages.
        kind: ``encoder`` or ``model``.
        fresh: see ``bench.weights.checkpoints.load_weights``.

    Raises:
        WeightsError: the file is unreadable or does not fit.
    """
    import timm

    from bench.weights.checkpoints import load_weights

    function_module = sys.modules[timm.models.model_entrypoint(name).__module__]
    class_module = sys.modules[type(network).__module__]
    # timm has the conversion of the authors' files in the module of the network's function, or of its class.
    filter_name = "checkpoint_filter_fn"
    conversion = getattr(function_module, filter_name, None) or getattr(class_module, filter_name, None)

    def convert(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return dict(state) if conversion is None else dict(conversion(dict(state), network))

    ignore = (*_BESIDE, *_classifier(name, network))
    load_weights(network, path, owner=owner, kind=kind, ignore=ignore, convert=convert, fresh=fresh)


def classifier_of(network: nn.Module) -> tuple[str, ...]:
    """Return the prefixes of the classifier's parameters."""
    layers = getattr(network, "pretrained_cfg", {}).get("classifier") or ()
    return tuple(f"{name}." for name in ((layers,) if isinstance(layers, str) else layers))


def normalisation(name: str) -> tuple[Sequence[float], Sequence[float]]:
    """Return mean and std, per channel in [0, 1], with which a network's published weights were trained."""
    from timm.data.config import resolve_data_config

    configuration = resolve_data_config({}, pretrained_cfg=_configuration(name))
    return configuration["mean"], configuration["std"]


def prepared(name: str, size: int | None) -> Preparation:
    """Return the preparation of images as in timm's evaluation of the network."""
    from timm.data.config import resolve_data_config
    from timm.data.transforms_factory import create_transform
    from torchvision.transforms import Compose

    from bench.zoo.preparation import Preparation

    configuration = resolve_data_config({} if size is None else {"img_size": size}, pretrained_cfg=_configuration(name))
    # The last two turn a picture into a tensor and normalise it.
    cut = Compose(create_transform(**configuration, is_training=False).transforms[:-2])
    return Preparation(cut, configuration["mean"], configuration["std"])


def side(name: str) -> int:
    """Return the longer side of a network's default input in pixels."""
    return max(_configuration(name).get("input_size", (3, 224, 224))[1:])


def _configuration(name: str) -> dict[str, Any]:
    from timm.models import get_pretrained_cfg

    configuration = get_pretrained_cfg(name)
    return configuration.to_dict() if configuration else {}


def _classifier(name: str, network: nn.Module) -> Collection[str]:
    """Return the names of parameters that the published network has and this one lacks: its classifier."""
    held = network.state_dict()
    return [key for key in bare(name).state_dict() if key not in held]
