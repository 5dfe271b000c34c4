from __future__ import annotations

import subprocess
import sys
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import nn

from bench import BenchError
from bench.errors import SpecError
from bench.plugins import models
from bench.recipe import Recipe


def build(name: str, shape: tuple[int, ...], num_classes: int = 10, seed: int = 0, **params: Any) -> Any:
    entry = models.get(name)
    torch.manual_seed(seed)
    return entry.function(shape, num_classes, **entry.resolve(params))


def size(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("small_cnn", (1, 8, 8)),
        ("small_cnn", (1, 28, 28)),
        ("small_cnn", (3, 32, 32)),
        ("small_cnn", (5, 9, 17)),
        ("resnet18", (1, 28, 28)),
        ("resnet18", (3, 32, 32)),
        ("resnet34", (3, 224, 224)),
        ("resnet50", (4, 32, 32)),
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
    ("name", "count"), [("resnet18", 11_173_962), ("resnet34", 21_282_122), ("resnet50", 23_520_842)]
)
def test_resnets_with_the_small_stem_have_the_published_size(name: str, count: int) -> None:
    # The counts of the CIFAR ResNets that the papers' released code trains.
    assert size(build(name, (3, 32, 32))) == count


def test_speedrun_has_the_published_size() -> None:
    # "1.97 million parameters" (Jordan 2024), of which the fixed layer is a buffer here.
    module = build("speedrun", (3, 32, 32))
    assert round((size(module) + module.whiten.weight.numel()) / 1e6, 2) == 1.97
    half = build("speedrun", (3, 32, 32), width=0.5)
    assert [block[0].out_channels for block in half.blocks] == [32, 128, 128]


def test_speedrun_whitens_patches_of_what_it_is_shown() -> None:
    from sklearn.datasets import load_sample_image

    photo = torch.from_numpy(load_sample_image("flower.jpg")[:384, :640].copy()).permute(2, 0, 1).float() / 128 - 1
    tiles = photo.unfold(1, 32, 32).unfold(2, 32, 32).reshape(3, -1, 32, 32).transpose(0, 1)
    module = build("speedrun", (3, 32, 32))
    module.look_at(tiles)
    response = torch.nn.functional.conv2d(tiles, module.whiten.weight).transpose(0, 1).reshape(24, -1)
    torch.testing.assert_close(response[:12], -response[12:])
    second = (response[:12] @ response[:12].T / response.shape[1]).numpy()
    patches = np.lib.stride_tricks.sliding_window_view(tiles.double().numpy(), (2, 2), axis=(2, 3))
    patches = patches.transpose(0, 2, 3, 1, 4, 5).reshape(-1, 12)
    variances = np.linalg.eigvalsh(patches.T @ patches / len(patches))
    # Uncorrelated and of unit variance, but for the floor that holds down the flattest directions of a photograph.
    np.testing.assert_allclose(second, np.diag(variances / (variances + 5e-4)), atol=0.01)


def test_the_bias_of_speedruns_norms_moves_64_times_as_far() -> None:
    from bench.models._speedrun import Norm

    ours, plain = Norm(5), torch.nn.BatchNorm2d(5, eps=1e-12, momentum=0.4)
    inputs, slope = torch.randn(16, 5, 4, 4), torch.randn(16, 5, 4, 4)
    for module in (ours, plain):
        (module(inputs) * slope).sum().backward()
        torch.optim.SGD(module.parameters(), lr=1e-3).step()
    torch.testing.assert_close(ours.FASTER * ours.shift, 64 * plain.bias)
    torch.testing.assert_close(ours.running_var, plain.running_var)


def test_small_cnn_is_small() -> None:
    assert 80_000 < size(build("small_cnn", (1, 8, 8))) < 120_000


def test_width_of_small_cnn_changes_its_size_by_the_square() -> None:
    narrow, plain, wide = (size(build("small_cnn", (3, 32, 32), width=width)) for width in (16, 32, 64))
    assert plain == size(build("small_cnn", (3, 32, 32)))
    assert 3.5 < plain / narrow < 4 < wide / plain * 1.1


@pytest.mark.parametrize(("side", "stem", "small"), [(32, "auto", True), (96, "auto", True), (97, "auto", False)])
def test_stem_follows_the_side(side: int, stem: str, small: bool) -> None:
    module = build("resnet18", (3, side, side), stem=stem)
    assert module.conv1.stride == ((1, 1) if small else (2, 2))
    assert isinstance(module.maxpool, torch.nn.Identity) == small


def test_stem_can_be_chosen() -> None:
    assert build("resnet18", (3, 32, 32), stem="imagenet").conv1.kernel_size == (7, 7)
    assert build("resnet18", (1, 224, 224), stem="cifar").conv1.kernel_size == (3, 3)
    with pytest.raises(BenchError, match="stem='tiny' is not valid"):
        build("resnet18", (3, 32, 32), stem="tiny")


def test_imagenet_stem_is_torchvisions_network() -> None:
    from torchvision.models import resnet34

    ours = build("resnet34", (3, 224, 224), 1000)
    torch.manual_seed(0)
    theirs = resnet34(weights=None)
    assert all(torch.equal(value, theirs.state_dict()[key]) for key, value in ours.state_dict().items())


def test_replaced_stem_is_initialised_like_the_rest() -> None:
    weight = build("resnet18", (3, 32, 32)).conv1.weight
    assert weight.std().item() == pytest.approx((2 / (64 * 9)) ** 0.5, rel=0.1)


def test_linear_probe_does_not_depend_on_the_scale_of_the_embeddings() -> None:
    module = build("linear_probe", (16,))
    inputs = torch.randn(64, 16)
    torch.testing.assert_close(module(inputs), module(inputs * 1000 + 5), atol=1e-3, rtol=1e-3)
    assert size(module) == 16 * 10 + 10


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


def test_small_cnn_learns_digits() -> None:
    from sklearn.datasets import load_digits

    data = load_digits()
    images = torch.from_numpy(data.images).float()[:, None] / 8 - 1
    labels = torch.from_numpy(data.target).long()
    generator = torch.Generator().manual_seed(0)
    order = torch.randperm(len(labels), generator=generator)
    train, test = order[:1400], order[1400:]
    module = build("small_cnn", (1, 8, 8))
    optimiser = torch.optim.SGD(module.parameters(), 0.05, momentum=0.9, nesterov=True)
    for _ in range(150):
        batch = train[torch.randint(len(train), (64,), generator=generator)]
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(module(images[batch]), labels[batch]).backward()
        optimiser.step()
    module.eval()
    with torch.no_grad():
        assert (module(images[test]).argmax(1) == labels[test]).float().mean() > 0.95


def test_discovery_imports_no_heavy_library() -> None:
    code = (
        "import sys; from bench.plugins import encoders, models; list(encoders), list(models);"
        "print(*[name for name in ('torch', 'torchvision', 'timm', 'scipy', 'sklearn') if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == ""
