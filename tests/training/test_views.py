"""Random views, against the existing crop and against torchvision's colour functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torchvision.transforms.v2 import functional as reference

from bench.training import views
from bench.training.augment import resized_crop_and_flip
from bench.training.views import crop_and_mirror, jitter, random_view


def pictures(count: int, channels: int, height: int = 12, width: int = 9) -> torch.Tensor:
    shape = (count, channels, height, width)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_crops_are_those_of_training_but_for_rounding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "CROP", (0.08, 1.0))
    images = pictures(100, 3)
    crops = crop_and_mirror(images, generator())
    assert (crops * 255 - resized_crop_and_flip(images, generator()).float()).abs().max() < 0.51


@pytest.mark.parametrize(
    ("part", "function"),
    [
        ("BRIGHTNESS", lambda image, by: reference.adjust_brightness(image, 1 + 0.2 * by)),
        ("CONTRAST", lambda image, by: reference.adjust_contrast(image, 1 + 0.2 * by)),
        ("SATURATION", lambda image, by: reference.adjust_saturation(image, 1 + 0.2 * by)),
    ],
)
def test_each_part_of_the_jitter_is_torchvisions(
    monkeypatch: pytest.MonkeyPatch, part: str, function: Callable[..., Any]
) -> None:
    for name in ("BRIGHTNESS", "CONTRAST", "SATURATION", "HUE", "GREY"):
        monkeypatch.setattr(views, name, 0.2 if name == part else 0.0)
    monkeypatch.setattr(views, "JITTERED", 1.0)
    images = pictures(20, 3) / 255 * 0.6 + 0.2
    place = ("BRIGHTNESS", "CONTRAST", "SATURATION").index(part)
    drawn = 2 * torch.rand((6, 20, 1, 1), generator=generator())[place, :, 0, 0] - 1
    made = jitter(images, generator())
    for image, amount, result in zip(images, drawn.tolist(), made, strict=True):
        torch.testing.assert_close(result, function(image, amount), atol=2e-3, rtol=0)
    assert drawn.abs().max() > 0.5


def test_the_hue_turns_at_equal_luma(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("BRIGHTNESS", "CONTRAST", "SATURATION", "GREY"):
        monkeypatch.setattr(views, name, 0.0)
    images = pictures(50, 3) / 255 * 0.2 + 0.4
    made = jitter(images, generator())
    luma = torch.tensor([0.299, 0.587, 0.114])
    torch.testing.assert_close(*(torch.einsum("bchw,c->bhw", part, luma) for part in (images, made)))
    changed = (made - images).abs().amax((1, 2, 3)) > 1e-4
    assert 30 <= changed.sum() < 50, "about 80 % of the images"
    grey = images.mean(1, keepdim=True).expand(-1, 3, -1, -1)
    torch.testing.assert_close(jitter(grey, generator()), grey, atol=1e-5, rtol=0)


def test_about_a_fifth_of_the_images_is_grey() -> None:
    made = random_view(pictures(1000, 3), generator())
    grey = (made - made.mean(1, keepdim=True)).abs().amax((1, 2, 3)) < 1e-3
    assert 150 < grey.sum() < 250


@pytest.mark.parametrize("channels", [1, 3])
def test_views_are_in_range_differ_by_image_and_follow_the_generator(channels: int) -> None:
    images = pictures(1, channels).expand(40, -1, -1, -1)
    made = random_view(images, generator())
    assert (made.shape, made.dtype) == (images.shape, torch.float32)
    assert 0 <= made.min() < made.max() <= 1
    assert len(made.flatten(1).unique(dim=0)) == 40
    torch.testing.assert_close(made, random_view(images, generator()), rtol=0, atol=0)
    assert (made - random_view(images, generator(1))).abs().max() > 0.1
