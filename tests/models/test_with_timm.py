"""timm's networks as final models and proxies."""

from __future__ import annotations

import pytest

from bench.errors import SpecError
from bench.plugins import models
from bench.recipe import Recipe
from tests.models.networks import build, check_learns, plan_with

pytest.importorskip("timm")


@pytest.mark.parametrize("name", ["test_resnet", "test_vit", "test_convnext", "resnet18", "vit_tiny_patch16_224"])
@pytest.mark.parametrize("channels", [1, 3])
def test_logits_have_the_right_shape_and_the_network_learns(name: str, channels: int) -> None:
    check_learns(build("timm", (channels, 20, 20), 7, name=name, size=32), channels)


def test_without_a_size_transformers_are_built_for_the_images() -> None:
    network = build("timm", (3, 64, 64), 7, name="vit_tiny_patch16_224").network
    assert network.patch_embed.num_patches == 16


@pytest.mark.parametrize(
    ("name", "optimiser"), [("resnet18", "sgd"), ("vit_tiny_patch16_224", "adamw"), ("test_convnext", "adamw")]
)
def test_the_family_decides_the_recipe(name: str, optimiser: str) -> None:
    recipe = Recipe(**models.get("timm").info.recipe_of({"name": name}))
    assert recipe.optimiser == optimiser
    assert (recipe.warm_up > 0) == (optimiser == "adamw")


@pytest.mark.parametrize(
    ("given", "message"), [("timm(name=resnet5)", "Did you mean resnet50"), ("timm", "needs a name")]
)
def test_bad_networks_are_refused_before_anything_starts(given: str, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        plan_with(given)
