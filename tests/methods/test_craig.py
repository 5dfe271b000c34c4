"""CRAIG on gradients written out, and on digits."""

from __future__ import annotations

import itertools
import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from scipy.spatial.distance import cdist

from bench.array_source import ArraySource
from bench.methods._gradients import Gradients
from bench.methods.craig import gradient_medoids, stood_for
from tests.methods.gradient_cases import factors, learned, off, run, select, written_out


def loss(points: list[list[float]], chosen: list[int]) -> float:
    return sum(min(math.dist(point, points[s]) for s in chosen) for point in points)


@given(factors())
def test_every_medoid_lowers_the_distances_most(case: tuple[Gradients, int]) -> None:
    gradients, budget = case
    points, picks = written_out(gradients), gradient_medoids(*case).tolist()
    assert len(set(picks)) == len(picks) <= budget
    for step in range(budget):
        left = [i for i in range(len(points)) if i not in picks[:step]]
        losses = {i: loss(points, [*picks[:step], i]) for i in left}
        if step >= len(picks):  # ended: only copies of picks are left
            assert loss(points, picks) == pytest.approx(0, abs=1e-3)
            break
        assert losses[picks[step]] == pytest.approx(min(losses.values()), abs=1e-2)


@settings(max_examples=50, deadline=None)
@given(factors())
def test_medoids_reach_the_guarantee_of_greedy_picks(case: tuple[Gradients, int]) -> None:
    gradients, budget = case
    if not budget:
        return
    points = written_out(gradients)
    longest = 2 * max(math.hypot(*point) for point in points)

    def covered(chosen: list[int]) -> float:
        return len(points) * longest - loss(points, chosen)

    best = max(covered(list(chosen)) for chosen in itertools.combinations(range(len(points)), budget))
    assert covered(gradient_medoids(gradients, budget).tolist()) >= (1 - 1 / math.e) * best - 1e-2


@pytest.mark.long
def test_memory_is_not_that_of_all_pairs() -> None:
    # 12,000 images of one class: all pairs would take 576 MB, the gradients written out 480 MB.
    errors, features = (
        np.random.default_rng(0).normal(size=(12_000, width)).astype(np.float32) for width in (10, 1_000)
    )
    tracemalloc.start()
    try:
        assert len(gradient_medoids(Gradients(errors, features), 3)) == 3
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 250e6


def test_craig_stands_for_the_gradients_of_every_class(some_digits: ArraySource) -> None:
    source, dense = learned(some_digits)
    labels = source.labels()

    def apart(picks: np.ndarray) -> float:
        return np.where(labels[:, None] == labels[picks], cdist(dense, dense[picks]), np.inf).min(1).sum()

    chance = [apart(run("random-balanced", source, 60, seed)) for seed in range(5)]
    assert apart(run("craig", source, 60)) < 0.85 * min(chance)


@given(factors())
def test_a_medoid_stands_for_the_images_that_are_nearest_to_it(case: tuple[Gradients, int]) -> None:
    gradients, budget = case
    if not budget:
        return
    points, kept = written_out(gradients), np.random.default_rng(0).permutation(len(case[0].errors))[:budget]
    expected = [0] * budget
    for i, point in enumerate(points):
        apart = [math.dist(point, points[j]) for j in kept]
        expected[kept.tolist().index(i) if i in kept else apart.index(min(apart))] += 1
    assert stood_for(gradients, kept).tolist() == expected


def test_weights_count_the_images_of_a_class(some_digits: ArraySource) -> None:
    source, dense = learned(some_digits)
    kept, labels = select("craig", source, 60), source.labels()
    assert kept.weights is not None
    assert (kept.weights >= 1).all()
    assert np.bincount(labels[kept.indices], kept.weights).tolist() == np.bincount(labels).tolist()
    apart = np.linalg.norm(dense[:, None] - dense[kept.indices], axis=2)
    apart[labels[:, None] != labels[kept.indices]] = np.inf
    np.testing.assert_array_equal(kept.weights, np.bincount(apart.argmin(1), minlength=60))


def test_weights_bring_the_mean_gradient_to_that_of_the_class(some_digits: ArraySource) -> None:
    source, dense = learned(some_digits)
    kept, plain = select("craig", source, 60), select("craig", source, 60, weighted=False)
    assert plain.weights is None
    np.testing.assert_array_equal(kept.indices, plain.indices)
    chance = [off(select("random-balanced", source, 60, seed), source, dense) for seed in range(5)]
    assert off(kept, source, dense) < 0.8 * min(chance)
    assert off(kept, source, dense) < 0.5 * off(plain, source, dense)
