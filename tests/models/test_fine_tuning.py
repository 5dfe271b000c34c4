"""Networks of other libraries that start from weights in a file: ``timm(name=..., pretrained=FILE)``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from bench.data import Dataset
from bench.engine.plan import make_plan
from bench.errors import SpecError
from bench.grid.spec import load_spec
from bench.identity import ModelRef
from bench.loading import load_dataset
from bench.plugins import models
from bench.recipe import Recipe
from bench.stages.session import Session
from bench.training.fit import fresh_network, make_batches
from bench.training.loop import train
from tests.models.library_weights import GRID, published, timm
from tests.photo_fixtures import crops

NETWORKS = [
    ("timm", "test_vit"),
    ("timm", "test_resnet"),
    ("timm", "test_convnext"),
    ("torchvision", "mobilenet_v3_small"),
    ("torchvision", "shufflenet_v2_x0_5"),
]


def fresh(library: str, size: int | None = None, classes: int = 10, **params: Any) -> tuple[Any, Any, Recipe]:
    """The network as it is trained on 64 photographs at 48 pixels, with their batches and its recipe."""
    given = params if size is None else {**params, "size": size}
    info = models.get(library).info
    data = photographs()
    recipe = Recipe(**{"augmentation": "none", "batch_size": 32, "precision": "fp32", **info.recipe_of(given)})
    labels = np.arange(64) % classes
    batches = make_batches(data.train.images, labels, recipe=recipe, dataset=data, device="cpu")
    network, generator = fresh_network(
        ModelRef(name=library, params=given), (3, 48, 48), classes, seed=0, device="cpu", sample=batches
    )
    return network, (batches, generator), recipe


def photographs() -> Dataset:
    from bench.data import make_dataset

    images, labels = crops(64, 48), np.arange(64) % 10
    split = (images, labels)
    return make_dataset(split, split, class_names=list("abcdefghij"), mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.25))


def moved(before: dict[str, torch.Tensor], network: nn.Module, names: list[str]) -> float:
    after = dict(network.named_parameters())
    return float(torch.cat([(after[name].detach() - before[name]).abs().flatten() for name in names]).mean())


@pytest.mark.parametrize(("library", "name"), NETWORKS)
@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_the_body_is_the_files_and_the_head_is_new(library: str, name: str, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"weights{suffix}"
    state = published(library, name, path)
    network, _, _ = fresh(library, size=160 if "test_" in name else 64, name=name, pretrained=str(path))
    head = {name for name, value in network.network.state_dict().items() if value.shape != state[name].shape}
    assert 1 <= len(head) <= 2
    for key, value in network.network.state_dict().items():
        if key not in head:
            assert torch.equal(value.float(), state[key].float()), key
    parts = network.learning_rates()
    assert [factor for _, factor in parts] == [1.0, 0.1]
    assert sum(len(values) for values, _ in parts) == len(list(network.parameters()))
    assert {id(value) for value in parts[0][0]} == {
        id(value) for key, value in network.network.named_parameters() if key in head
    }


@pytest.mark.parametrize(("library", "name"), [("timm", "test_resnet"), ("torchvision", "shufflenet_v2_x0_5")])
def test_a_classifier_for_as_many_classes_is_kept(library: str, name: str, tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    state = published(library, name, path, classes=10)
    network, _, _ = fresh(library, name=name, pretrained=str(path))
    for key, value in network.network.state_dict().items():
        assert torch.equal(value.float(), state[key].float()), key


def test_images_are_normalised_as_the_library_configures_it(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    published("timm", "test_resnet", path)
    network, (batches, _), _ = fresh("timm", name="test_resnet", pretrained=str(path))
    configuration = timm.create_model("test_resnet").pretrained_cfg
    pixels = torch.from_numpy(crops(64, 48)).float() / 255
    mean, std = (torch.tensor(configuration[key]).view(3, 1, 1) for key in ("mean", "std"))
    [batch] = list(batches.in_order())
    network.eval()
    with torch.no_grad():
        ours, theirs = network(batch.inputs), network.network((pixels - mean) / std)
    assert torch.allclose(ours, theirs, atol=1e-5)
    assert not torch.allclose(network.network(batch.inputs), theirs, atol=1e-2)


@pytest.mark.parametrize(("library", "name"), [("timm", "test_vit"), ("torchvision", "mobilenet_v3_small")])
def test_the_body_learns_at_its_share_of_the_heads_rate(library: str, name: str, tmp_path: Path) -> None:
    """The first step of AdamW moves each parameter by the learning rate, whatever its gradient."""
    path = tmp_path / "weights.safetensors"
    published(library, name, path)
    distances = {}
    for body_lr in (0.0, 0.01, 1.0):
        network, (batches, generator), recipe = fresh(
            library, size=160 if name == "test_vit" else None, name=name, pretrained=str(path), body_lr=body_lr
        )
        adamw = recipe.model_copy(update={"optimiser": "adamw", "weight_decay": 0.0, "warm_up": 0.05, "lr": 1e-3})
        before = {key: value.detach().clone() for key, value in network.named_parameters()}
        train(network, batches, recipe=adamw, iterations=1, generator=generator)
        head = [key for key in before if key.endswith(("head.weight", "classifier.3.weight"))]
        body = [key for key in before if key.endswith("weight") and key not in head and before[key].ndim > 1]
        distances[body_lr] = moved(before, network, body) / moved(before, network, head)
    assert distances[0.0] == 0
    assert distances[0.01] == pytest.approx(0.01, rel=0.05)
    assert distances[1.0] == pytest.approx(1, rel=0.05)


def test_the_body_keeps_its_share_over_the_whole_schedule_of_sgd(tmp_path: Path) -> None:
    from bench.training.loop import _optimiser, _schedule

    published("timm", "test_resnet", tmp_path / "w.pth")
    network, _, recipe = fresh("timm", name="test_resnet", pretrained=str(tmp_path / "w.pth"), body_lr=0.001)
    optimiser = _optimiser(network, recipe, "cpu")
    schedule = _schedule(optimiser, recipe, 20)
    seen = []
    for _ in range(20):
        seen.append([group["lr"] for group in optimiser.param_groups])
        optimiser.step()
        schedule.step()
    assert seen[0] == pytest.approx([0.1, 0.0001])
    assert np.allclose([body / head for head, body in seen], 0.001)
    # The head's rates are those of a network that is trained from scratch.
    layer = torch.nn.Linear(2, 2)
    plain = torch.optim.SGD(layer.parameters(), lr=recipe.lr)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(plain, 20, eta_min=recipe.lr_min)
    for head, _ in seen:
        assert head == pytest.approx(plain.param_groups[0]["lr"], rel=1e-9)
        plain.step()
        cosine.step()


def test_a_transformer_is_fine_tuned_at_another_size(tmp_path: Path) -> None:
    published("timm", "test_vit", tmp_path / "w.safetensors")
    network, (batches, generator), recipe = fresh("timm", name="test_vit", pretrained=str(tmp_path / "w.safetensors"))
    assert (recipe.optimiser, recipe.warm_up) == ("adamw", 0.05)
    train(network, batches, recipe=recipe, iterations=2, generator=generator)


def test_a_proxy_is_fine_tuned_too(tmp_path: Path) -> None:
    published("torchvision", "shufflenet_v2_x0_5", tmp_path / "w.safetensors")
    model = f"torchvision(name=shufflenet_v2_x0_5, pretrained={tmp_path / 'w.safetensors'}, size=32)"
    recipe = {"iterations": 2, "proxy_epochs": 1, "lr": 0.01, "precision": "fp32"}
    grid = {**GRID, "methods": "aum", "proxy_model": model, "models": "small_cnn", "recipe": recipe}
    [cell] = make_plan(load_spec(given=grid), out=tmp_path / "out").cells
    row = cell.row(Session(out=tmp_path / "out", cache=tmp_path / "cache"))
    assert "sha256=" in row.proxy_model


def test_a_network_from_scratch_keeps_its_identity() -> None:
    load_dataset("digits", {}, root=None, download=False, pool_size=None)
    [cell] = make_plan(load_spec(given={**GRID, "models": "timm(name=test_resnet)"}), out=None).cells
    assert cell.model.params == {"name": "test_resnet"}
    with pytest.raises(SpecError, match="pretrained"):
        models.get("small_cnn").resolve({"pretrained": "w.pth"})
