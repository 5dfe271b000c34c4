"""The judge of coresets: what it computes, and that it tells good from bad without a label."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from bench.judging.labelings import cluster_numbers, make_labelings
from bench.judging.ridge import BIAS, PENALTY, embedding_features, image_features, quality
from tests.filed import Filed


@pytest.fixture(scope="module")
def blobs() -> tuple[np.ndarray, np.ndarray]:
    """Eight blobs in 16 dimensions: embeddings float32 [400, 16] and the blob of each."""
    rng = np.random.default_rng(0)
    which = np.repeat(np.arange(8), 50)
    centres = rng.normal(size=(8, 16))
    return (centres[which] + 0.3 * rng.normal(size=(400, 16))).astype(np.float32), which


def test_labelings_are_coarse_and_fine_and_depend_on_the_seed(blobs: tuple[np.ndarray, np.ndarray]) -> None:
    embeddings, which = blobs
    labelings = make_labelings(embeddings, 8, seed=0)
    assert cluster_numbers(8, 400) == [4, 8, 16]
    assert [len(set(line)) for line in labelings] == [4] * 3 + [8] * 3 + [16] * 3
    np.testing.assert_array_equal(labelings, make_labelings(embeddings, 8, seed=0))
    assert (labelings != make_labelings(embeddings, 8, seed=1)).any()
    fine = labelings[-1]
    assert all(len(set(which[fine == cluster])) <= 2 for cluster in range(16)), "clusters follow the blobs"


@pytest.mark.parametrize(("classes", "size", "numbers"), [(2, 50, [2, 4]), (10, 12, [5, 10, 12]), (3, 2, [2])])
def test_numbers_of_clusters_stay_within_the_pool(classes: int, size: int, numbers: list[int]) -> None:
    assert cluster_numbers(classes, size) == numbers


def test_quality_is_that_of_scikit_learns_ridge(blobs: tuple[np.ndarray, np.ndarray]) -> None:
    """An independent path: one regression a labeling, without our normal equations."""
    embeddings, _ = blobs
    features, labelings = embedding_features(embeddings), make_labelings(embeddings, 8, seed=0)
    chosen = np.random.default_rng(1).choice(400, 40, replace=False)
    outside = np.setdiff1d(np.arange(400), chosen)
    right = []
    for labels in labelings:
        targets = np.eye(labels.max() + 1)[labels[chosen]]
        model = Ridge(alpha=PENALTY["embeddings"], fit_intercept=False).fit(features[chosen], targets)
        right.append((model.predict(features[outside]).argmax(1) == labels[outside]).mean())
    assert quality(features, labelings, chosen, PENALTY["embeddings"]) == pytest.approx(np.mean(right), abs=2e-3)


def test_a_coreset_of_all_blobs_is_better_than_one_of_a_few(blobs: tuple[np.ndarray, np.ndarray]) -> None:
    embeddings, which = blobs
    features, labelings = embedding_features(embeddings), make_labelings(embeddings, 8, seed=0)
    spread, narrow = np.arange(0, 400, 10), np.flatnonzero(which < 2)[:40]
    assert quality(features, labelings, spread, 0.1) > quality(features, labelings, narrow, 0.1) + 0.3
    assert quality(features, labelings, np.arange(400), 0.1) == 1.0


def test_photographs_are_averaged_in_as_little_memory_as_small_images() -> None:
    """4,096 at once, as many as of CIFAR, took 6 GB at 224 pixels, five times the estimate of the stage."""
    small = np.random.default_rng(0).integers(0, 256, (150, 3, 16, 16), dtype=np.uint8)
    files = Filed(np.kron(small, np.ones((14, 14), np.uint8)))
    features = image_features(files, seed=0)
    assert max(files.reads) * 3 * 224 * 224 <= 2**24
    assert sum(files.reads) == 150
    np.testing.assert_allclose(features, image_features(small, seed=0), atol=1e-3)


def test_features_of_images_are_of_unit_scale_and_tell_images_apart() -> None:
    images = np.random.default_rng(0).integers(0, 256, (60, 3, 32, 32), dtype=np.uint8)
    features = image_features(images, seed=0)
    assert features.shape == (60, 513)
    assert features.dtype == np.float32
    assert (features[:, -1] == np.float32(BIAS)).all()
    norms = np.linalg.norm(features[:, :-1], axis=1)
    assert 0.8 < norms.min() < norms.max() < 1.2
    np.testing.assert_array_equal(features, image_features(images, seed=0))
    assert (features != image_features(images, seed=1)).any()
    same = image_features(np.zeros((5, 1, 8, 8), np.uint8), seed=0)
    assert np.isfinite(same).all()
