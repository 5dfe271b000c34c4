"""TypiClust, k-means sampling, ProbCover and MaxHerding against slow loops, and on digits."""

from __future__ import annotations

import itertools
import logging
import math
import tracemalloc
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench import Pool, SelectionError, fit_kmeans, unit_rows
from bench.array_source import ArraySource
from bench.methods import _clusters
from bench.methods._clusters import cluster, in_turn
from bench.methods._coverage import greedy_coverage, rbf
from bench.methods.probcover import ball, pure_radius
from bench.methods.typiclust import mean_neighbor_distance
from bench.plugins import methods
from bench.selection import method_pool, run_method

Case = tuple[Any, ...]


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def pool_of(name: str, source: ArraySource, **params: Any) -> Pool:
    size = len(source.labels())
    return method_pool(methods.get(name), params, source, size=size, num_classes=10, rate=0.5)


def run(name: str, source: ArraySource, budget: int, seed: int = 0, **params: Any) -> np.ndarray:
    return run_method(methods.get(name), pool_of(name, source, **params), params, budget, seed)


def in_order(name: str, source: ArraySource, budget: int, seed: int = 0, **params: Any) -> np.ndarray:
    """What the method itself returns, before the harness sorts it."""
    entry = methods.get(name)
    return entry.function(pool_of(name, source, **params), budget, rng(seed), **entry.resolve(params))


@st.composite
def point_sets(draw: st.DrawFn, most: int = 9) -> Case:
    """Points on a grid of quarters, so that squared distances are exact in float32."""
    size = draw(st.integers(1, most))
    points = [[draw(st.integers(-4, 4)) / 4 for _ in range(2)] for _ in range(size)]
    return np.array(points, dtype=np.float32), draw(st.integers(0, size))


# greedy coverage


def coverage(points: np.ndarray, chosen: Sequence[int], similarity: Callable[[float], float]) -> float:
    return sum(max((similarity(math.dist(p, points[s])) for s in chosen), default=0.0) for p in points)


@settings(max_examples=200)
@given(point_sets(), st.sampled_from([0.3, 1.0, 1.3]))
def test_balls_are_picked_greedily_with_ties_by_index(case: Case, radius: float) -> None:
    points, budget = case

    def cover(chosen: Sequence[int]) -> float:
        return coverage(points.tolist(), chosen, lambda d: d < radius)

    by_hand: list[int] = []
    while len(by_hand) < budget:
        left = [i for i in range(len(points)) if i not in by_hand]
        pick = max(left, key=lambda i: (cover([*by_hand, i]), -i))
        if cover([*by_hand, pick]) == cover(by_hand):
            break
        by_hand.append(pick)
    assert greedy_coverage(points, budget, ball(radius)).tolist() == by_hand


@settings(max_examples=200)
@given(point_sets(), st.sampled_from([0.5, 1.0, 3.0]))
def test_every_pick_of_a_smooth_kernel_gains_most(case: Case, lengthscale: float) -> None:
    points, budget = case
    picks = greedy_coverage(points, budget, rbf(lengthscale)).tolist()

    def cover(chosen: Sequence[int]) -> float:
        return coverage(points.tolist(), chosen, lambda d: math.exp(-(d**2) / lengthscale**2))

    for step in range(budget):
        kept = picks[:step]
        gains = {i: cover([*kept, i]) - cover(kept) for i in range(len(points)) if i not in kept}
        if step >= len(picks):  # stopped early: only copies of picks are left
            assert max(gains.values()) == pytest.approx(0, abs=1e-5)
            break
        assert gains[picks[step]] == pytest.approx(max(gains.values()), abs=1e-5)
    assert len(set(picks)) == len(picks)


@settings(max_examples=50, deadline=None)
@given(point_sets(most=7))
def test_coverage_reaches_its_guarantee(case: Case) -> None:
    points, budget = case

    def cover(chosen: Sequence[int]) -> float:
        return coverage(points.tolist(), chosen, lambda d: math.exp(-(d**2)))

    best = max(cover(chosen) for chosen in itertools.combinations(range(len(points)), budget))
    assert cover(greedy_coverage(points, budget, rbf(1.0)).tolist()) >= (1 - 1 / math.e) * best - 1e-6


def test_blocks_change_nothing(digits: ArraySource, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = unit_rows(digits.embeddings())[::3]
    whole = [greedy_coverage(rows, 60, kernel).tolist() for kernel in (rbf(1.0), ball(0.5))]
    monkeypatch.setattr("bench.methods._coverage._CELLS", 5000)
    assert [greedy_coverage(rows, 60, kernel).tolist() for kernel in (rbf(1.0), ball(0.5))] == whole


def test_memory_is_not_that_of_all_pairs() -> None:
    rows = unit_rows(rng().normal(size=(12_000, 8)))  # all pairs: 576 MB
    tracemalloc.start()
    try:
        assert len(greedy_coverage(rows, 5, rbf(1.0))) == 5
        assert pure_radius(rows, rng().integers(0, 3, len(rows)), 0.95) > 0
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 200e6


def test_a_budget_beyond_the_candidates_is_refused() -> None:
    with pytest.raises(SelectionError, match="cannot keep 4 of 3 images"):
        greedy_coverage(np.eye(3, dtype=np.float32), 4, rbf(1.0))


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


# k-means sampling


def test_kmeans_sampling_keeps_the_image_nearest_to_each_centre(digits: ArraySource) -> None:
    rows = unit_rows(digits.embeddings())
    kept = run("kmeans-sampling", digits, 40)

    def inertia(picks: np.ndarray) -> float:
        return ((rows[:, None] - rows[picks]) ** 2).sum(2).min(1).sum()

    chance = [inertia(rng(seed).choice(1797, 40, replace=False)) for seed in range(5)]
    assert inertia(kept) < 0.8 * min(chance)
    # Each kept image is the one nearest to the mean of those that it is the nearest kept one of, nearly always.
    owner = ((rows[:, None] - rows[kept]) ** 2).sum(2).argmin(1)
    nearest = [
        int(np.linalg.norm(rows - rows[owner == c].mean(0), axis=1).argmin()) == image for c, image in enumerate(kept)
    ]
    assert np.mean(nearest) > 0.5


def test_kmeans_sampling_finds_every_group() -> None:
    from bench.array_source import ArraySource

    centres = np.eye(12)
    sizes = [3, 50, 7, 20, 90, 5, 5, 40, 11, 4, 60, 2]
    truth = np.repeat(np.arange(12), sizes)
    points = (centres[truth] + 0.02 * rng().normal(size=(len(truth), 12))).astype(np.float32)
    source = ArraySource(embedding_array=points, label_array=truth)
    for name, found in (("kmeans-sampling", 12), ("maxherding", 12), ("typiclust", 9)):
        kept = truth[run(name, source, 12)]
        # TypiClust passes over the three groups of fewer than 5 images, so three others give a second image.
        assert len(set(kept.tolist())) == found, name


# TypiClust


@settings(max_examples=200)
@given(point_sets(), st.integers(1, 5))
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


# ProbCover


@settings(max_examples=200)
@given(point_sets(), st.data(), st.sampled_from([0.5, 0.8, 0.95, 1.0]))
def test_radius_of_pure_balls_by_hand(case: Case, data: st.DataObject, purity: float) -> None:
    points, _ = case
    clusters = np.array([data.draw(st.integers(0, 2)) for _ in points])
    found = pure_radius(points, clusters, purity)

    def pure(radius: float) -> float:
        balls = [{int(c) for q, c in zip(points, clusters, strict=True) if math.dist(p, q) < radius} for p in points]
        return sum(len(inside) < 2 for inside in balls) / len(points)

    assert pure(found - 1e-6) >= purity
    assert found == pytest.approx(2.1) or pure(found + 1e-6) < purity


def test_probcover_reports_its_radius_and_covers_more_than_chance(digits: ArraySource) -> None:
    pool = pool_of("probcover", digits)
    kept = run_method(methods.get("probcover"), pool, {}, 60, 0)
    delta = pool.diagnostics.chosen["delta"]
    rows = unit_rows(digits.embeddings())

    def covered(picks: np.ndarray) -> float:
        return (np.linalg.norm(rows[:, None] - rows[picks], axis=2) < delta).any(1).mean()

    chance = [covered(rng(seed).choice(1797, 60, replace=False)) for seed in range(5)]
    assert covered(kept) > max(chance) + 0.05


def test_probcover_says_what_is_drawn_at_random(digits: ArraySource, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        kept = run("probcover", digits, 50, delta=1.5)
    assert len(set(kept.tolist())) == 50
    assert "cover the pool at delta=1.5; the other" in caplog.text


# all four


@pytest.mark.parametrize("name", ["maxherding", "probcover"])
def test_the_first_images_of_an_order_are_those_of_a_smaller_budget(digits: ArraySource, name: str) -> None:
    assert in_order(name, digits, 100)[:20].tolist() == in_order(name, digits, 20).tolist()


def test_maxherding_covers_the_digits_better_than_chance(digits: ArraySource) -> None:
    rows = unit_rows(digits.embeddings())

    def served(picks: np.ndarray) -> float:
        return np.exp(2 * (rows @ rows[picks].T) - 2).max(1).mean()

    kept = run("maxherding", digits, 30)
    chance = [served(rng(seed).choice(1797, 30, replace=False)) for seed in range(5)]
    assert 1 - served(kept) < 0.85 * (1 - max(chance))


def test_maxherding_takes_a_subset_of_a_large_pool(digits: ArraySource) -> None:
    assert len(set(run("maxherding", digits, 100, subset=150).tolist())) == 100
    half = [run("maxherding", digits, 100, seed=seed, subset=150).tolist() for seed in range(2)]
    assert half[0] != half[1]


@pytest.mark.parametrize("name", ["kmeans-sampling", "maxherding", "probcover", "typiclust"])
def test_few_labels_reach_more_classes_and_more_accuracy_than_chance(digits: ArraySource, name: str) -> None:
    """What these methods are for: a linear classifier on 20 images that they choose."""
    from sklearn.linear_model import LogisticRegression

    rows, labels = unit_rows(digits.embeddings()), digits.labels()

    def accuracy(picks: np.ndarray) -> float:
        model = LogisticRegression(C=100, max_iter=500).fit(rows[picks], labels[picks])
        return model.score(rows, labels)

    chosen = np.mean([accuracy(run(name, digits, 20, seed=seed)) for seed in range(3)])
    chance = np.mean([accuracy(rng(seed).choice(1797, 20, replace=False)) for seed in range(10)])
    assert chosen > chance + 0.03
