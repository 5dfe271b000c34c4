"""TypiClust: the paper's algorithm, one image at a time."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from bench import unit_rows
from bench.array_source import ArraySource
from bench.methods._clusters import cluster
from bench.methods.typiclust import mean_neighbor_distance
from bench.plugins import methods
from tests.methods.cases import Case, pool_of, quarter_points, rng, run


@settings(max_examples=200)
@given(quarter_points(), st.integers(1, 5))
def test_mean_distance_to_the_nearest_by_hand(case: Case, k: int) -> None:
    points, _ = case
    count = min(k, max(len(points) // 2, 1), len(points) - 1)
    expected = []
    for i, point in enumerate(points.tolist()):
        apart = sorted(math.dist(point, other) for j, other in enumerate(points.tolist()) if j != i)
        expected.append(sum(apart[:count]) / count if count else 0.0)
    np.testing.assert_allclose(mean_neighbor_distance(points, k), expected, atol=1e-6)


def test_typiclust_by_the_papers_algorithm(digits: ArraySource) -> None:
    """Algorithm 1 written as in the paper, one image at a time, on the same clusters."""
    order = rng(5).permutation(1797)
    draws = rng(5)
    draws.permutation(1797)
    rows = unit_rows(digits.embeddings())[order].astype(np.float64)
    labels, _ = cluster(rows.astype(np.float32), 30, draws)
    typicality = np.zeros(1797)
    for image in range(1797):
        apart = sorted(
            np.linalg.norm(rows[image] - rows[other])
            for other in np.flatnonzero(labels == labels[image])
            if other != image
        )
        count = min(20, (len(apart) + 1) // 2)
        typicality[image] = 1 / np.mean(apart[:count])
    kept: list[int] = []
    for _ in range(30):
        uncovered = [c for c in range(30) if c not in labels[kept]]
        largest = max(uncovered, key=lambda c: (labels == c).sum())
        members = np.flatnonzero(labels == largest)
        kept.append(int(members[typicality[members].argmax()]))
    found = methods.get("typiclust").function(pool_of("typiclust", digits), 30, rng(5))
    assert sorted(found.tolist()) == sorted(order[kept].tolist())


def test_typiclust_goes_round_its_clusters_where_the_budget_is_larger(digits: ArraySource) -> None:
    kept = run("typiclust", digits, 90, max_clusters=30)
    draws = np.random.default_rng(np.random.SeedSequence(0, spawn_key=tuple(b"typiclust")))
    order = draws.permutation(1797)
    labels = np.empty(1797, dtype=np.int64)
    labels[order] = cluster(unit_rows(digits.embeddings())[order], 30, draws)[0]
    assert np.bincount(labels[kept]).tolist() == [3] * 30
