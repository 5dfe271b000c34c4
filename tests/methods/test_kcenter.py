"""k-centre: greedy picks against a loop, the guarantee of twice the best radius, and copies."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from scipy.spatial.distance import cdist

from bench import SelectionError, unit_rows
from bench.array_source import ArraySource
from bench.methods.herding import follow_mean
from bench.methods.kcenter import farthest_first, in_blocks, one_by_one
from tests.methods.cases import Case, point_sets, run


def radius(points: np.ndarray, centres: Sequence[int]) -> float:
    return max(min(math.dist(point, points[c]) for c in centres) for point in points)


@settings(max_examples=200)
@given(point_sets())
def test_every_centre_is_the_farthest_with_ties_by_index(case: Case) -> None:
    points, budget = case  # whole numbers, so that the expanded form of the distance is exact
    by_hand = [0][:budget]
    while len(by_hand) < budget:
        left = [i for i in range(len(points)) if i not in by_hand]
        by_hand.append(max(left, key=lambda i: (min(math.dist(points[i], points[c]) for c in by_hand), -i)))
    assert farthest_first(points, budget).tolist() == by_hand


@settings(max_examples=50, deadline=None)
@given(point_sets(most=7))
def test_the_radius_is_at_most_twice_the_best(case: Case) -> None:
    points, budget = case
    if budget:
        best = min(radius(points, centres) for centres in itertools.combinations(range(len(points)), budget))
        assert radius(points, farthest_first(points, budget)) <= 2 * best + 1e-9


def wide_rows(kind: str, seed: int) -> np.ndarray:
    """900 rows of 160 features: alike in all directions, in groups, near-duplicates, copies, or whole numbers."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(900, 160))
    if kind == "groups":
        rows += 2 * rng.normal(size=(30, 160))[rng.integers(0, 30, 900)]
    if kind == "near-duplicates":
        rows = rows[rng.integers(0, 200, 900)] + 1e-5 * rows
    if kind == "copies":
        rows = rows[rng.integers(0, 200, 900)]
    return rng.integers(-3, 4, (900, 160)).astype(float) if kind == "whole" else unit_rows(rows)


@pytest.mark.parametrize("kind", ["alike", "groups", "near-duplicates", "copies", "whole"])
@pytest.mark.parametrize("seed", range(2))
def test_blocks_pick_what_one_by_one_picks(kind: str, seed: int) -> None:
    rows = wide_rows(kind, seed)
    plain, fast = np.zeros((2, 450), dtype=np.int64)
    one_by_one(rows, plain, 1)
    done = in_blocks(rows, fast, 1)
    assert done >= 150  # as many as differ by more than float32 tells
    assert done == 450 or kind in ("near-duplicates", "copies")
    assert fast[:done].tolist() == plain[:done].tolist()
    picks, exact = farthest_first(rows, 450), rows.astype(np.float64)
    nearest = np.full(len(rows), np.inf)
    for pick, distances in zip(picks, cdist(exact[picks], exact, "sqeuclidean"), strict=True):
        assert nearest[pick] >= nearest.max() - 1e-13
        nearest = np.minimum(nearest, distances)
        nearest[pick] = -1


def test_copies_and_near_duplicates_go_by_index_and_distance_not_by_rounding() -> None:
    rng = np.random.default_rng(0)
    rows = unit_rows(np.repeat(rng.normal(size=(40, 200)), 25, axis=0))
    kept = farthest_first(rows, 1000)
    assert len(set(kept[:40] // 25)) == 40
    assert kept[40:].tolist() == sorted(kept[40:])
    close = rows.astype(np.float64)[:2].copy()
    close[1, 0] += 1e-5
    assert farthest_first(np.concatenate([close[:1], rows[:1], close[1:]]), 2).tolist() == [0, 2]


def test_kcenter_covers_the_digits_better_than_chance(digits: ArraySource) -> None:
    rows = unit_rows(digits.embeddings())

    def reach(kept: np.ndarray) -> float:
        return np.sqrt(np.maximum(2 - 2 * rows @ rows[kept].T, 0)).min(1).max()

    chance = [reach(np.random.default_rng(seed).choice(1797, 180, replace=False)) for seed in range(5)]
    assert reach(run("kcenter", digits, 180)) < 0.8 * min(chance)


@pytest.mark.parametrize("core", [farthest_first, follow_mean])
def test_a_budget_beyond_the_pool_is_refused(core: Callable[..., Any]) -> None:
    with pytest.raises(SelectionError, match="cannot keep 4 of 3 images"):
        core(np.eye(3), 4)
