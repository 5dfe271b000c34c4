"""What every data set must keep to."""

from __future__ import annotations

import numpy as np
import pytest

from bench import Dataset
from bench.plugins import datasets


def check_declaration(name: str, dataset: Dataset) -> None:
    info = datasets.get(name).info
    channels, side = dataset.train.images.shape[1], dataset.train.images.shape[2]
    assert (info.num_classes, info.image_size) == (dataset.num_classes, side)
    assert dataset.train.images.shape[2:] == dataset.test.images.shape[2:] == (side, side)
    assert (info.mean, info.std) == (dataset.mean, dataset.std)
    assert len(info.mean) == len(info.std) == channels
    assert set(np.unique(dataset.train.labels)) == set(range(dataset.num_classes))


def check_measured_constants(dataset: Dataset) -> None:
    levels = np.arange(256) / 255
    for channel in range(len(dataset.mean)):
        share = np.bincount(np.asarray(dataset.train.images)[:, channel].ravel(), minlength=256)
        mean = np.average(levels, weights=share)
        assert mean == pytest.approx(dataset.mean[channel], abs=6e-5)
        assert np.sqrt(np.average((levels - mean) ** 2, weights=share)) == pytest.approx(dataset.std[channel], abs=6e-5)
