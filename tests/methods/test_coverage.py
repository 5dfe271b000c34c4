"""Greedy coverage: every pick by loops, blocks, memory, and the orders of the methods that rest on it."""

from __future__ import annotations

import itertools
import math
import tracemalloc
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench import SelectionError, unit_rows
from bench.array_source import ArraySource
from bench.methods._coverage import greedy_coverage, rbf
from bench.methods.probcover import ball, pure_radius
from bench.plugins import methods
from tests.methods.cases import Case, pool_of, quarter_points, rng, run


def in_order(name: str, source: ArraySource, budget: int, seed: int = 0, **params: Any) -> np.ndarray:
    """What the method itself returns, before the harness sorts it."""
    entry = methods.get(name)
    return entry.function(pool_of(name, source, **params), budget, rng(seed), **entry.resolve(params))


def coverage(points: np.ndarray, chosen: Sequence[int], similarity: Callable[[float], float]) -> float:
    return sum(max((similarity(math.dist(p, points[s])) for s in chosen), default=0.0) for p in points)


@settings(max_examples=200)
@given(quarter_points(), st.sampled_from([0.3, 1.0, 1.3]))
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
@given(quarter_points(), st.sampled_from([0.5, 1.0, 3.0]))
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
@given(quarter_points(most=7))
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


@pytest.mark.integration
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


@pytest.mark.parametrize("name", ["maxherding", "probcover"])
def test_the_first_images_of_an_order_are_those_of_a_smaller_budget(digits: ArraySource, name: str) -> None:
    assert in_order(name, digits, 100)[:20].tolist() == in_order(name, digits, 20).tolist()


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
