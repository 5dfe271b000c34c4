"""The small network: its size, and that it learns digits."""

from __future__ import annotations

import pytest
import torch

from tests.models.networks import build, size


def test_small_cnn_is_small() -> None:
    assert 80_000 < size(build("small_cnn", (1, 8, 8))) < 120_000


def test_width_of_small_cnn_changes_its_size_by_the_square() -> None:
    narrow, plain, wide = (size(build("small_cnn", (3, 32, 32), width=width)) for width in (16, 32, 64))
    assert plain == size(build("small_cnn", (3, 32, 32)))
    assert 3.5 < plain / narrow < 4 < wide / plain * 1.1


@pytest.mark.integration
def test_small_cnn_learns_digits() -> None:
    from tests.digits import load_digits

    data = load_digits()
    images = torch.tensor(data.images).float()[:, None] / 8 - 1
    labels = torch.tensor(data.target)
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
