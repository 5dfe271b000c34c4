"""Networks of other libraries, and probes, as final models and proxies."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from bench.engine.plan import make_plan
from bench.errors import SpecError
from bench.grid.spec import load_spec
from bench.plugins import models
from bench.recipe import Recipe
from bench.training.loop import _optimiser


def build(library: str, shape: tuple[int, ...], /, **params: Any) -> Any:
    entry = models.get(library)
    torch.manual_seed(0)
    return entry.function(shape, 7, **entry.resolve(params))


TIMM = ["test_resnet", "test_vit", "test_convnext", "resnet18", "vit_tiny_patch16_224"]


@pytest.mark.parametrize(
    ("library", "name", "size"),
    [("timm", name, 32) for name in TIMM]
    + [("torchvision", name, 32) for name in ("mobilenet_v3_small", "shufflenet_v2_x0_5", "squeezenet1_1")]
    + [("torchvision", "alexnet", 64)],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_logits_have_the_right_shape_and_the_network_learns(library: str, name: str, size: int, channels: int) -> None:
    if library == "timm":
        pytest.importorskip("timm")
    module = build(library, (channels, 20, 20), name=name, size=size).eval()
    logits = module(torch.randn(4, channels, 20, 20))
    assert logits.shape == (4, 7)
    torch.nn.functional.cross_entropy(logits, torch.arange(4)).backward()
    assert any(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in module.parameters())


def test_without_a_size_transformers_are_built_for_the_images() -> None:
    pytest.importorskip("timm")
    network = build("timm", (3, 64, 64), name="vit_tiny_patch16_224").network
    assert network.patch_embed.num_patches == 16
    assert build("torchvision", (3, 64, 64), name="vit_b_16").network.image_size == 64


@pytest.mark.parametrize(
    ("library", "name", "optimiser"),
    [
        ("timm", "resnet18", "sgd"),
        ("timm", "vit_tiny_patch16_224", "adamw"),
        ("timm", "test_convnext", "adamw"),
        ("torchvision", "mobilenet_v3_small", "sgd"),
        ("torchvision", "swin_t", "adamw"),
        ("torchvision", "vgg11", "sgd"),
    ],
)
def test_the_family_decides_the_recipe(library: str, name: str, optimiser: str) -> None:
    if library == "timm":
        pytest.importorskip("timm")
    fields = models.get(library).info.recipe_of({"name": name})
    recipe = Recipe(**fields)
    assert recipe.optimiser == optimiser
    assert (recipe.warm_up > 0) == (optimiser == "adamw")


def test_adamw_is_torchs_and_spares_biases_and_scales() -> None:
    network = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.LayerNorm(4))
    optimiser = _optimiser(network, Recipe(optimiser="adamw", lr=1e-3, weight_decay=0.05), "cpu")
    assert isinstance(optimiser, torch.optim.AdamW)
    decay = {id(value): group["weight_decay"] for group in optimiser.param_groups for value in group["params"]}
    assert {name: decay[id(value)] for name, value in network.named_parameters()} == {
        "0.weight": 0.05,
        "0.bias": 0.0,
        "1.weight": 0.0,
        "1.bias": 0.0,
    }


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("timm(name=resnet5)", "Did you mean resnet50"),
        ("timm", "needs a name"),
        ("torchvision(name=mobilenet_v3_smal)", "Did you mean mobilenet_v3_small"),
        ("torchvision(name=vgg)", "unknown name of model 'torchvision'"),
        ("torchvision(name=inception_v3)", r"does not take images of 8 x 8 px: .*Give it size=S"),
    ],
)
def test_bad_networks_are_refused_before_anything_starts(given: str, message: str) -> None:
    if given.startswith("timm"):
        pytest.importorskip("timm")
    grid = {"methods": "random", "datasets": "digits", "rates": "0.5", "seeds": 1, "models": given}
    with pytest.raises(SpecError, match=message):
        make_plan(load_spec(given=grid), out=None)
