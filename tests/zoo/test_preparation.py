"""From images to what a network of another library takes."""

from __future__ import annotations

import torch
from torchvision.transforms.functional import center_crop

from bench.zoo.preparation import Preparation


def test_pixels_are_cut_scaled_and_normalised() -> None:
    images = torch.randint(0, 256, (5, 3, 10, 10), dtype=torch.uint8)
    before = images.clone()
    mean, std = (0.1, 0.2, 0.3), (0.4, 0.5, 0.6)
    found = Preparation(lambda batch: center_crop(batch, [6, 6]), mean, std)(images)
    assert found.shape == (5, 3, 6, 6)
    for channel in range(3):
        wanted = (images[:, channel, 2:8, 2:8].double() / 255 - mean[channel]) / std[channel]
        torch.testing.assert_close(found[:, channel].double(), wanted, atol=1e-6, rtol=1e-6)
    assert torch.equal(images, before), "the images are as they were"


def test_one_channel_is_repeated() -> None:
    grey = torch.randint(0, 256, (2, 1, 4, 4), dtype=torch.uint8)
    found = Preparation(lambda batch: batch, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))(grey)
    assert torch.equal(found, (grey.float() / 255).expand(-1, 3, -1, -1))
