from __future__ import annotations

import subprocess
import sys
from typing import Any, cast

import pytest
import torch

from bench.errors import SpecError
from bench.plugins import models
from bench.recipe import Recipe
from tests.models.networks import build


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("small_cnn", (1, 8, 8)),
        ("small_cnn", (1, 28, 28)),
        ("small_cnn", (3, 32, 32)),
        ("small_cnn", (5, 9, 17)),
        ("resnet18", (1, 28, 28)),
        ("resnet18", (3, 32, 32)),
        pytest.param("resnet34", (3, 224, 224), marks=pytest.mark.integration),
        pytest.param("resnet50", (4, 32, 32), marks=pytest.mark.integration),
        ("linear_probe", (61,)),
        ("speedrun", (3, 32, 32)),
        ("speedrun", (1, 10, 13)),
    ],
)
def test_logits_have_the_right_shape_and_every_parameter_learns(name: str, shape: tuple[Any, ...]) -> None:
    module = build(name, shape, 7)
    logits = module(torch.randn(4, *shape))
    assert logits.shape == (4, 7)
    torch.nn.functional.cross_entropy(logits, torch.arange(4)).backward()
    assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in module.parameters())


@pytest.mark.parametrize("name", ["small_cnn", "resnet18", "linear_probe", "speedrun"])
def test_weights_come_from_the_seed(name: str) -> None:
    shape = (12,) if name == "linear_probe" else (3, 32, 32)
    one, same, other = (build(name, shape, seed=seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(one[key], same[key]) for key in one)
    assert any(not torch.equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize(
    ("name", "shape"), [("small_cnn", (64,)), ("small_cnn", (3, 2, 2)), ("resnet18", (64,)), ("speedrun", (3, 9, 32))]
)
def test_wrong_shapes_are_explained(name: str, shape: tuple[Any, ...]) -> None:
    with pytest.raises(SpecError, match=rf"{name}.*\(C, H, W\)"):
        build(name, shape)
    with pytest.raises(SpecError, match=r"embeddings \(D,\)"):
        build("linear_probe", (3, 32, 32))


def test_recipe_overrides_are_fields_of_the_recipe() -> None:
    for entry in models:
        if not callable(entry.info.recipe):
            Recipe(**entry.info.recipe)
    assert cast("dict[str, Any]", models.get("linear_probe").info.recipe)["augmentation"] == "none"


@pytest.mark.integration
def test_discovery_imports_no_heavy_library() -> None:
    code = (
        "import sys; from bench.plugins import encoders, models; list(encoders), list(models);"
        "print(*[name for name in ('torch', 'torchvision', 'timm', 'scipy', 'sklearn') if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == ""
