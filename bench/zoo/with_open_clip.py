"""Image towers of CLIP models and their published weights by open_clip's names, such as ``ViT-B-32`` and ``openai``.

open_clip is imported inside functions: it takes seconds.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from bench.errors import SpecError
from bench.weights.locations import HubWeights, OwnWeights, UrlWeights, Weights
from bench.zoo.names import known, library

if TYPE_CHECKING:
    from torch import nn

    from bench.zoo.preparation import Preparation

EXTRA = "openclip"
EXAMPLE = "ViT-B-32"


@lru_cache(1)
def names() -> dict[str, list[str]]:
    """Return all models with the tags of their published weights."""
    import open_clip

    return {name: open_clip.list_pretrained_tags_by_model(name) for name in open_clip.list_models()}


def check(name: str, tag: str, *, owner: str) -> None:
    """Refuse an unknown model or tag; a model without published weights has no tags.

    Raises:
        BenchError: open_clip is not installed.
        SpecError: no such model or tag, with the nearest ones.
    """
    library("open_clip", owner=owner, extra=EXTRA)
    tags = names()[known(name, names(), owner=owner, example=EXAMPLE)]
    if tag:
        known(tag, tags, owner=f"weights of {name}, {owner}", example="openai")
    elif tags:
        raise SpecError(f"{owner}: say which weights of {name}, as pretrained=TAG; valid: {', '.join(tags)}.")


def published(name: str, tag: str) -> Weights:
    """Return where weights are published: as a safetensors file on the hub, if there is one."""
    configuration = _configuration(name, tag)
    if configuration.get("hf_hub"):
        repository, file = configuration["hf_hub"].rsplit("/", 1)
        # open_clip publishes pickles, and safetensors with another stem next to them.
        safe = PurePosixPath(file or "open_clip_pytorch_model.bin").with_suffix(".safetensors")
        return HubWeights(repository, str(safe).replace("open_clip_pytorch_model", "open_clip_model"))
    if configuration.get("url"):
        return UrlWeights(configuration["url"])
    return OwnWeights(f"open_clip's {name}", f"give a file as open_clip(name={name}, supervision=..., weights=FILE)")


def image_tower(name: str, tag: str) -> nn.Module:
    """Return a model's image tower with random weights and the projection to the text space.

    A whole model would look for the configuration of its text tower on the network. Weights that were trained with
    QuickGELU get it, where open_clip itself only warns.
    """
    import open_clip
    from open_clip.model import _build_vision_tower

    model = open_clip.get_model_config(name)
    # A configuration may ask timm for other weights, which would be fetched only to be replaced.
    vision = {**model["vision_cfg"], "timm_model_pretrained": False}
    quick = bool(model.get("quick_gelu") or _configuration(name, tag).get("quick_gelu"))
    return _build_vision_tower(model["embed_dim"], vision, quick)


def image_part(state: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters of a model's image tower without their prefix; all parameters if the file is a tower."""
    inside = {key.removeprefix("visual."): value for key, value in state.items() if key.startswith("visual.")}
    return inside or dict(state)


def prepared(name: str, tag: str) -> tuple[Preparation, int]:
    """Return open_clip's preparation of images for the model, and the side of the input."""
    import open_clip
    from open_clip.transform import PreprocessCfg, image_transform_v2, merge_preprocess_dict
    from torchvision.transforms import Compose

    from bench.zoo.preparation import Preparation

    size = open_clip.get_model_config(name)["vision_cfg"].get("image_size", 224)
    settings = {**_configuration(name, tag), "size": size}
    configuration = PreprocessCfg(**merge_preprocess_dict(PreprocessCfg(), settings))
    steps = image_transform_v2(configuration, is_train=False).transforms
    # The last three turn a picture into a tensor and normalise it.
    cut = Compose(steps[:-3])
    return Preparation(cut, configuration.mean, configuration.std), size if isinstance(size, int) else max(size)


def _configuration(name: str, tag: str) -> dict[str, Any]:
    import open_clip

    return dict(open_clip.get_pretrained_cfg(name, tag)) if tag else {}
