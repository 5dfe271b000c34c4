"""torchvision's networks as final models and proxies."""

from __future__ import annotations

import pytest

from bench.errors import SpecError
from bench.plugins import models
from bench.recipe import Recipe
from tests.models.networks import build, check_learns, plan_with


@pytest.mark.parametrize(
    ("name", "size"), [("mobilenet_v3_small", 32), ("shufflenet_v2_x0_5", 32), ("squeezenet1_1", 32), ("alexnet", 64)]
)
@pytest.mark.parametrize("channels", [1, 3])
def test_logits_have_the_right_shape_and_the_network_learns(name: str, size: int, channels: int) -> None:
    check_learns(build("torchvision", (channels, 20, 20), 7, name=name, size=size), channels)


def test_without_a_size_transformers_are_built_for_the_images() -> None:
    assert build("torchvision", (3, 64, 64), 7, name="vit_b_16").network.image_size == 64


@pytest.mark.parametrize(("name", "optimiser"), [("mobilenet_v3_small", "sgd"), ("swin_t", "adamw"), ("vgg11", "sgd")])
def test_the_family_decides_the_recipe(name: str, optimiser: str) -> None:
    recipe = Recipe(**models.get("torchvision").info.recipe_of({"name": name}))
    assert recipe.optimiser == optimiser
    assert (recipe.warm_up > 0) == (optimiser == "adamw")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("torchvision(name=mobilenet_v3_smal)", "Did you mean mobilenet_v3_small"),
        ("torchvision(name=vgg)", "unknown name of model 'torchvision'"),
        ("torchvision(name=inception_v3)", r"does not take images of 8 x 8 px: .*Give it size=S"),
    ],
)
def test_bad_networks_are_refused_before_anything_starts(given: str, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        plan_with(given)
