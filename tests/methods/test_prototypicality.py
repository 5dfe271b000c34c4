from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from bench import SelectionError
from bench.array_source import ArraySource
from bench.methods.prototypicality import centroid_distance
from bench.plugins import methods
from bench.selection import method_pool, run_method


def test_distances_by_hand_around_separate_centres() -> None:
    offsets = np.array([[0, 3], [0, -3], [1, 0], [-1, 0]], dtype=np.float32)
    points = np.concatenate([offsets, offsets + 100, offsets + np.array([500, 0])]).astype(np.float32)
    distances = centroid_distance(points, 3, np.random.default_rng(0))
    np.testing.assert_allclose(distances, [3, 3, 1, 1] * 3, rtol=1e-4)


def test_distances_are_to_the_mean_of_the_own_cluster(digits: ArraySource) -> None:
    from sklearn.cluster import KMeans

    pixels = digits.embeddings()
    rng = np.random.default_rng(5)
    seed = int(np.random.default_rng(5).integers(2**31))
    kmeans = KMeans(10, n_init=10, random_state=seed).fit(pixels)
    apart = np.linalg.norm(pixels[:, None] - kmeans.cluster_centers_[None], axis=2)
    np.testing.assert_allclose(centroid_distance(pixels, 10, rng), apart.min(1), rtol=1e-3)


def test_keep_hard_and_easy_are_opposite_ends(digits: ArraySource) -> None:
    entry = methods.get("prototypicality")

    def run(keep: str) -> np.ndarray:
        params = {"keep": keep}
        pool = method_pool(entry, params, digits, size=1797, num_classes=10, rate=0.9)
        return run_method(entry, pool, params, 180, seed=0).indices

    rng = np.random.default_rng(np.random.SeedSequence(0, spawn_key=tuple(b"prototypicality")))
    distances = centroid_distance(digits.embeddings(), 10, rng)
    assert distances[run("hard")].min() >= np.sort(distances)[-180]
    assert distances[run("easy")].max() <= np.sort(distances)[179]


def test_fewer_distinct_images_than_clusters_is_no_error() -> None:
    distances = centroid_distance(np.ones((20, 4), dtype=np.float32), 10, np.random.default_rng(0))
    np.testing.assert_allclose(distances, 0, atol=1e-6)
    assert len(centroid_distance(np.eye(3, dtype=np.float32), 10, np.random.default_rng(0))) == 3


def test_nan_is_refused(digits: ArraySource) -> None:
    pixels = digits.embeddings().copy()
    pixels[7, 3] = np.nan
    with pytest.raises(SelectionError, match="1 of 115008 embedding values"):
        centroid_distance(pixels, 10, np.random.default_rng(0))


def test_memory_is_that_of_the_embeddings() -> None:
    # 20,000 images: a dense distance matrix would take 1.6 GB even in float32.
    points = np.random.default_rng(0).normal(size=(20_000, 4)).astype(np.float32)
    tracemalloc.start()
    try:
        distances = centroid_distance(points, 10, np.random.default_rng(0), inits=1)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(distances) == 20_000
    assert peak < 20e6
