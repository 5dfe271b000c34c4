"""Networks of other libraries as they train here."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from bench import SpecError
from bench.zoo.scaled import TRANSFORMER, Scaled, check_images, recipe_for


def test_one_channel_is_repeated_and_the_side_is_the_networks() -> None:
    seen: list[torch.Tensor] = []

    class Watching(nn.Module):
        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            seen.append(inputs)
            return inputs.mean((2, 3))

    images = torch.rand(4, 1, 8, 8)
    assert Scaled(Watching(), 16)(images).shape == (4, 3)
    wanted = functional.interpolate(images, (16, 16), mode="bilinear", antialias=True, align_corners=False)
    for channel in range(3):
        torch.testing.assert_close(seen[0][:, channel], wanted[:, 0])
    Scaled(Watching(), 8)(images)
    assert torch.equal(seen[1], images.expand(-1, 3, -1, -1))
    Scaled(Watching(), None)(torch.rand(2, 3, 5, 7))
    assert seen[2].shape == (2, 3, 5, 7)


@pytest.mark.parametrize("shape", [(64,), (2, 8, 8), (4, 8, 8), (3, 8)])
def test_what_is_no_image_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(SpecError, match=r"model 'timm' takes images \(C, H, W\) of 1 or 3 channels, got"):
        check_images(shape, "model 'timm'")


def test_a_network_without_batch_norm_trains_as_a_transformer() -> None:
    check_images((1, 8, 8), "model 'timm'")
    assert recipe_for(lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))) == {}
    assert recipe_for(lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.LayerNorm(4))) == TRANSFORMER
