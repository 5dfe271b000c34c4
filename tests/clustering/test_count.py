from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import make_blobs

from bench.clustering.count import candidate_counts, estimate_num_clusters
from bench.clustering.kmeans import fit_kmeans
from bench.errors import DataError
from bench.knn import unit_rows


def directions(clusters: int, *, per_cluster: int = 30, seed: int = 0) -> np.ndarray:
    """Tight groups around random directions in 16 dimensions."""
    centers = np.random.default_rng(seed).normal(size=(clusters, 16))
    points, _ = make_blobs([per_cluster] * clusters, centers=centers, cluster_std=0.1, random_state=seed)
    return points.astype(np.float32)


@pytest.mark.parametrize("clusters", [2, 3, 8, 16])
def test_clear_groups_are_counted(clusters: int) -> None:
    found = estimate_num_clusters(directions(clusters), seed=0)
    assert int(found["num_clusters"]) == clusters


def test_the_estimate_has_the_highest_silhouette_by_definition() -> None:
    points = directions(5, per_cluster=10, seed=3)
    found = estimate_num_clusters(points, seed=0)
    rows = unit_rows(points).astype(np.float64)
    apart = np.linalg.norm(rows[:, None] - rows[None], axis=2)

    def silhouette(labels: np.ndarray) -> np.float64:
        values = []
        for i, own in enumerate(labels):
            means = {c: apart[i, labels == c].sum() / ((labels == c).sum() - (c == own) or 1) for c in set(labels)}
            inside, outside = means.pop(own), min(means.values())
            values.append(0 if (labels == own).sum() == 1 else (outside - inside) / max(inside, outside))
        return np.mean(values)

    by_hand = [silhouette(fit_kmeans(unit_rows(points), int(k), seed=0).labels_) for k in found["candidates"]]
    np.testing.assert_allclose(found["silhouettes"], by_hand, atol=1e-5)
    assert found["num_clusters"] == found["candidates"][np.argmax(by_hand)] == 5


def test_a_seed_repeats_and_length_does_not_count() -> None:
    points = directions(6) + np.random.default_rng(1).normal(size=(180, 16)).astype(np.float32)
    first, again = (estimate_num_clusters(points, seed=4) for _ in range(2))
    scaled = estimate_num_clusters(points * np.random.default_rng(2).uniform(0.5, 9, (180, 1)), seed=4)
    np.testing.assert_array_equal(first["silhouettes"], again["silhouettes"])
    np.testing.assert_allclose(first["silhouettes"], scaled["silhouettes"], atol=1e-4)


def test_every_candidate_is_reported() -> None:
    reports = []
    found = estimate_num_clusters(directions(2), seed=0, progress=lambda *report: reports.append(report))
    total = len(found["candidates"])
    assert reports == [(number, total) for number in range(1, total + 1)]


def test_grid_is_geometric_and_ends_at_a_tenth() -> None:
    assert candidate_counts(2000)[:8].tolist() == [2, 3, 4, 5, 6, 7, 8, 10]
    for size in (20, 21, 200, 1000, 2000):
        grid = candidate_counts(size)
        assert grid[0] == 2
        assert size / 10 / 2**0.25 - 1 < grid[-1] <= size / 10
        assert (np.diff(grid) > 0).all()


def test_a_pool_that_cannot_be_counted_is_refused() -> None:
    with pytest.raises(DataError, match="from 19 images, at least 20 are needed; give num_clusters"):
        estimate_num_clusters(np.ones((19, 3)), seed=0)
    with pytest.raises(DataError, match="all embeddings point the same way"):
        estimate_num_clusters(np.ones((40, 3)) * np.arange(1, 41)[:, None], seed=0)
