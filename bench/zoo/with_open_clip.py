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
    """All models, and the tags of published weights of each."""
    import open_clip

    return {name: open_clip.list_pretrained_tags_by_model(name) for name in open_clip.list_models()}


def check(name: str, tag: str, *, owner: str) -> None:
    """Look a model and a tag up; a model without published weights has no tags.

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
    """Return where weights are published: a safetensors file on the hub where there is one."""
    configuration = _configuration(name, tag)
    if configuration.get("hf_hub"):
        repository, file = configuration["hf_hub"].rsplit("/", 1)
        # open_clip publishes pickles, and beside them safetensors under another stem.
        safe = PurePosixPath(file or "open_clip_pytorch_model.bin").with_suffix(".safetensors")
        return HubWeights(repository, str(safe).replace("open_clip_pytorch_model", "open_clip_model"))
    if configuration.get("url"):
        return UrlWeights(configuration["url"])
    return OwnWeights(f"open_clip's {name}", f"give a file as open_clip(name={name}, supervision=..., weights=FILE)")


def image_tower(name: str, tag: str) -> nn.Module:
    """Return the part of a model that takes images, with random weights; its outputs lie in the space of the texts.

    Whole models would look for the configurations of their text towers on the network. Weights that were trained with
    QuickGELU get it, where open_clip itself only warns.
    """
    import open_clip
    from open_clip.model import _build_vision_tower

    model = open_clip.get_model_config(name)
    # A configuration may ask timm for weights of its own, which would be fetched only to be replaced.
    vision = {**model["vision_cfg"], "timm_model_pretrained": False}
    quick = bool(model.get("quick_gelu") or _configuration(name, tag).get("quick_gelu"))
    return _build_vision_tower(model["embed_dim"], vision, quick)


def image_part(state: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters of a model's image tower, without their prefix; all of a tower that comes alone."""
    inside = {key.removeprefix("visual."): value for key, value in state.items() if key.startswith("visual.")}
    return inside or dict(state)


def prepared(name: str, tag: str) -> tuple[Preparation, int]:
    """Images as open_clip gives them to the model, and the side of the input."""
    import open_clip
    from open_clip.transform import PreprocessCfg, image_transform_v2, merge_preprocess_dict
    from torchvision.transforms import Compose

    from bench.zoo.preparation import Preparation

    size = open_clip.get_model_config(name)["vision_cfg"].get("image_size", 224)
    given = {**_configuration(name, tag), "size": size}
    configuration = PreprocessCfg(**merge_preprocess_dict(PreprocessCfg(), given))
    steps = image_transform_v2(configuration, is_train=False).transforms
    # The last three turn a picture into a tensor and normalise it.
    cut = Compose(steps[:-3])
    return Preparation(cut, configuration.mean, configuration.std), size if isinstance(size, int) else max(size)


def _configuration(name: str, tag: str) -> dict[str, Any]:
    import open_clip

    return dict(open_clip.get_pretrained_cfg(name, tag)) if tag else {}
