"""k-means as methods and pseudo-labels use it."""

from __future__ import annotations

import numpy as np
import pytest

from bench.clustering.kmeans import fit_kmeans, kmeans_clusters

RAYS = np.repeat(np.eye(3, dtype=np.float32), 10, axis=0) * np.linspace(1, 9, 30, dtype=np.float32)[:, None]


def test_directions_are_clustered_and_not_lengths() -> None:
    labels = kmeans_clusters(RAYS, 3, seed=0)
    assert labels.dtype == np.int64
    assert [len(set(labels[start : start + 10].tolist())) for start in (0, 10, 20)] == [1, 1, 1]
    assert len(set(labels.tolist())) == 3


def test_the_seed_decides() -> None:
    points = np.random.default_rng(0).normal(size=(200, 5)).astype(np.float32)
    one, same = (kmeans_clusters(points, 8, seed=2**40 + 1) for _ in range(2))
    assert np.array_equal(one, same), "seeds beyond 32 bits are taken too"


@pytest.mark.filterwarnings("error")
def test_fewer_distinct_rows_than_clusters_leave_clusters_empty_without_a_warning() -> None:
    model = fit_kmeans(np.repeat(np.eye(2), 5, axis=0), 4, seed=0)
    assert model.cluster_centers_.shape == (4, 2)
    assert len(set(model.labels_.tolist())) == 2


def test_centres_are_means_of_their_members() -> None:
    points = np.random.default_rng(1).normal(size=(60, 3))
    model = fit_kmeans(points, 4, seed=0, inits=2)
    for cluster in range(4):
        np.testing.assert_allclose(model.cluster_centers_[cluster], points[model.labels_ == cluster].mean(0))
