"""OpenCLIP's models and their published weights by name."""

from __future__ import annotations

import pytest

from bench.engine.plan import find_encoder
from bench.errors import SpecError
from bench.grammar import parse_call
from bench.weights.locations import HubWeights, OwnWeights
from bench.zoo.with_open_clip import image_part, published


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("open_clip(name=vit-b-32)", "Did you mean .*ViT-B-32"),
        ("open_clip(name=ViT-B-32, pretrained=laion2b_s34b_b79)", "Did you mean laion2b_s34b_b79k"),
        ("open_clip(name=ViT-B-32)", "say which weights of ViT-B-32, as pretrained=TAG; valid: openai"),
    ],
)
def test_open_clips_names_get_the_nearest(text: str, message: str) -> None:
    pytest.importorskip("open_clip", reason="open_clip is not installed (extra openclip)")
    with pytest.raises(SpecError, match=message):
        find_encoder(parse_call(text), False, needed=True)


def test_where_the_weights_are_published() -> None:
    pytest.importorskip("open_clip", reason="open_clip is not installed (extra openclip)")
    assert published("ViT-B-32", "laion2b_s34b_b79k") == HubWeights(
        "laion/CLIP-ViT-B-32-laion2B-s34B-b79K", "open_clip_model.safetensors"
    )
    assert isinstance(published("ViT-S-32-alt", ""), OwnWeights)


def test_the_image_tower_of_a_whole_model_or_alone() -> None:
    tower = {"conv1.weight": 1, "proj": 2}
    whole = {**{f"visual.{name}": value for name, value in tower.items()}, "logit_scale": 3, "text.proj": 4}
    assert image_part(whole) == tower
    assert image_part(tower) == tower
