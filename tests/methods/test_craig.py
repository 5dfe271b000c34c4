"""CRAIG on gradients written out, and on digits."""

from __future__ import annotations

import itertools
import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings

from bench.array_source import ArraySource
from bench.methods._gradients import Gradients
from bench.methods.craig import gradient_medoids
from tests.methods.gradient_cases import factors, learned, run, written_out


def loss(points: list[list[float]], chosen: list[int]) -> float:
    return sum(min(math.dist(point, points[s]) for s in chosen) for point in points)


@settings(max_examples=200, deadline=None)
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
        distances = np.linalg.norm(dense[:, None] - dense[picks], axis=2)
        return np.where(labels[:, None] == labels[picks], distances, np.inf).min(1).sum()

    chance = [apart(run("random-balanced", source, 60, seed)) for seed in range(5)]
    assert apart(run("craig-unweighted", source, 60)) < 0.85 * min(chance)
