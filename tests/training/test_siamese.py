"""SimSiam's loss by its definition, and the statistics and health of what it trained."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from bench import Dataset
from bench.training.siamese import SiameseHeads, health, measure_statistics, normalised, similarity_loss
from tests.narrowing import in_memory, present


def test_the_loss_is_the_papers() -> None:
    torch.manual_seed(0)
    heads, one, other = SiameseHeads(16), torch.randn(12, 16), torch.randn(12, 16)
    z = [heads.projector(features) for features in (one, other)]
    p = [heads.predictor(outputs) for outputs in z]
    expected = 0.0
    for predicted, target in ((p[0], z[1]), (p[1], z[0])):
        unit = [part / part.norm(dim=1, keepdim=True) for part in (predicted, target)]
        expected -= (unit[0] * unit[1]).sum(1).mean().item() / 2
    assert similarity_loss(heads, one, other).item() == pytest.approx(expected, abs=1e-6)


def test_no_gradient_flows_into_the_target() -> None:
    """With the predictor's output made constant, nothing is left that could have a gradient."""
    torch.manual_seed(0)
    heads, features = SiameseHeads(16), torch.randn(12, 16, requires_grad=True)
    last: Any = heads.predictor[3]
    torch.nn.init.zeros_(last.weight)
    similarity_loss(heads, features, torch.randn(12, 16)).backward()
    assert present(features.grad).abs().max() == 0


def test_health_of_a_sphere_a_line_and_a_point() -> None:
    sphere = torch.randn(5000, 32, generator=torch.Generator().manual_seed(0))
    assert health(sphere) == pytest.approx((1, 32), abs=0.2)
    line = health(sphere[:, :1] * sphere[:1])
    assert line == pytest.approx((0.8, 1), abs=0.2)
    point = health(sphere[:1].expand(50, -1))
    assert point.spread == pytest.approx(0, abs=1e-6)
    assert (health(sphere).collapsed, line.collapsed, point.collapsed) == (False, True, True)


def test_statistics_are_those_of_the_images_as_they_are(few_digits: Dataset) -> None:
    network = torch.nn.Sequential(torch.nn.BatchNorm2d(3))
    images = torch.from_numpy(in_memory(few_digits.train.images))
    measure_statistics(network, images, batch_size=50, generator=torch.Generator().manual_seed(0))
    plain = normalised(images.float() / 255)
    torch.testing.assert_close(network[0].running_mean, plain.mean((0, 2, 3)))


def test_statistics_do_not_depend_on_a_pool_that_is_sorted_by_class() -> None:
    network = torch.nn.Sequential(torch.nn.BatchNorm2d(3))
    images = torch.zeros(200, 1, 4, 4, dtype=torch.uint8)
    images[100:] = 255
    measure_statistics(network, images, batch_size=50, generator=torch.Generator().manual_seed(0))
    whole = normalised(images.float() / 255)[:, :1].var()
    first: Any = network[0]
    torch.testing.assert_close(first.running_var[0], whole, rtol=0.1, atol=0.0)
