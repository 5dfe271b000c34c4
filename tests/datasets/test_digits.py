"""scikit-learn's digits, every one with its label."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from bench.data import fingerprint
from tests.dataset_checks import check_declaration, check_measured_constants
from tests.datasets.reading import load


def test_digits() -> None:
    dataset = load("digits")
    check_declaration("digits", dataset)
    check_measured_constants(dataset)
    assert (len(dataset.train), len(dataset.test)) == (1438, 359)
    levels = np.unique(np.asarray(dataset.train.images))
    assert (levels[0], levels[-1], len(levels)) == (0, 255, 17)
    assert np.ptp(np.bincount(dataset.test.labels)) <= 2
    assert fingerprint(dataset) == fingerprint(load("digits"))


def test_digits_keep_every_image_with_its_label() -> None:
    from sklearn.datasets import load_digits

    def pairs(images: np.ndarray, labels: np.ndarray) -> list[tuple[bytes, int]]:
        return sorted((image.tobytes(), int(label)) for image, label in zip(images, labels, strict=True))

    raw, dataset = load_digits(), load("digits")
    images = np.concatenate([np.asarray(dataset.train.images), np.asarray(dataset.test.images)])
    labels = np.concatenate([dataset.train.labels, dataset.test.labels])
    grey = np.rint(images[:, 0] / 255 * 16).astype(np.uint8)
    assert pairs(grey, labels) == pairs(raw.images.astype(np.uint8), raw.target)


@pytest.mark.integration
def test_digits_are_read_without_the_import_of_scikit_learn() -> None:
    """It would take two seconds of every worker."""
    code = (
        "import sys; from bench.plugins import datasets\n"
        "assert len(datasets.get('digits').function(None).train) == 1438\n"
        "print(sorted({'sklearn', 'scipy', 'pandas', 'torch'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=500, check=True)
    assert done.stdout == "[]\n"
