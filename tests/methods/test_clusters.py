"""Clusters of methods: k-means of one and of two levels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import fit_kmeans, unit_rows
from bench.array_source import ArraySource
from bench.methods import _clusters
from bench.methods._clusters import cluster, in_turn
from tests.methods.cases import rng


@pytest.mark.parametrize("clusters", [1, 7, 40])
def test_clusters_are_those_of_kmeans_and_distances_to_their_means(digits: ArraySource, clusters: int) -> None:
    rows = unit_rows(digits.embeddings())[::3]
    labels, distance = cluster(rows, clusters, rng(3))
    model = fit_kmeans(rows, clusters, seed=int(rng(3).integers(2**31)), inits=1)
    assert labels.tolist() == model.labels_.tolist()
    np.testing.assert_allclose(distance, np.linalg.norm(rows - model.cluster_centers_[labels], axis=1), atol=1e-4)


def test_two_levels_are_nearly_as_tight_as_one(digits: ArraySource, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = unit_rows(digits.embeddings())

    def spread(labels: np.ndarray) -> float:
        return sum(((rows[labels == c] - rows[labels == c].mean(0)) ** 2).sum() for c in np.unique(labels))

    flat = spread(cluster(rows, 300, rng())[0])
    monkeypatch.setattr(_clusters, "_FLAT", 50)
    labels, distance = cluster(rows, 300, rng())
    assert len(np.unique(labels)) == 300
    assert labels.max() == 299
    assert spread(labels) < 1.15 * flat
    assert (distance**2).sum() == pytest.approx(spread(labels), rel=1e-4)
    chance = rng().integers(0, 300, 1797)
    assert spread(labels) < 0.5 * spread(chance)


@pytest.mark.parametrize("clusters", [3, 10, 12])
def test_two_levels_take_pools_of_few_distinct_rows(monkeypatch: pytest.MonkeyPatch, clusters: int) -> None:
    monkeypatch.setattr(_clusters, "_FLAT", 1)
    rows = unit_rows(np.repeat(np.eye(2, 3) + 1, [2, 10], axis=0))
    labels, distance = cluster(rows, clusters, rng())
    assert labels.min() >= 0
    assert labels.max() < clusters
    assert labels[:2].max() < labels[2:].min() or labels[:2].min() > labels[2:].max()
    np.testing.assert_allclose(distance, 0, atol=1e-6)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3)), min_size=1, max_size=30), st.integers(1, 4))
def test_clusters_are_visited_in_turn(images: list[tuple[int, int]], smallest: int) -> None:
    labels = np.array([label for label, _ in images])
    distance = np.array([float(d) for _, d in images])
    sizes = {label: int((labels == label).sum()) for label in set(labels.tolist())}
    queues = {c: sorted(np.flatnonzero(labels == c).tolist(), key=lambda i: (distance[i], i)) for c in sizes}
    by_hand: list[int] = []
    for small in (False, True):
        visited = sorted((c for c in sizes if (sizes[c] < smallest) == small), key=lambda c: (-sizes[c], c))
        while any(queues[c] for c in visited):
            by_hand += [queues[c].pop(0) for c in visited if queues[c]]
    assert in_turn(labels, distance, smallest=smallest).tolist() == by_hand
