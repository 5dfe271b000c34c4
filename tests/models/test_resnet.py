"""ResNets: their sizes and their stems, against torchvision's."""

from __future__ import annotations

import pytest
import torch

from bench import BenchError
from tests.models.networks import build, size


@pytest.mark.parametrize(
    ("name", "count"), [("resnet18", 11_173_962), ("resnet34", 21_282_122), ("resnet50", 23_520_842)]
)
def test_resnets_with_the_small_stem_have_the_published_size(name: str, count: int) -> None:
    # The counts of the CIFAR ResNets that the papers' released code trains.
    assert size(build(name, (3, 32, 32))) == count


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
