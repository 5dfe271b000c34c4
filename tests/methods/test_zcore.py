from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.array_source import ArraySource
from bench.methods.zcore import draw_points, subspace_scores
from bench.plugins import methods
from bench.selection import method_pool, run_method


def by_hand(
    embeddings: np.ndarray, dims: np.ndarray, points: np.ndarray, neighbors: int, exponent: float
) -> list[float]:
    """The definition with explicit loops; ties go to the smallest index."""
    scores = [0.0] * len(embeddings)
    for chosen, point in zip(dims, points, strict=True):

        def apart(i: int, place: list[float], chosen: np.ndarray = chosen) -> float:
            return sum(abs(embeddings[i][d] - x) for d, x in zip(chosen, place, strict=True))

        covering = min(range(len(embeddings)), key=lambda i: (apart(i, point), i))
        scores[covering] += 1
        place = [embeddings[covering][d] for d in chosen]
        near = sorted((apart(i, place), i) for i in range(len(embeddings)) if i != covering)[:neighbors]
        if near and near[0][0] == 0:
            scores[near[0][1]] -= 1
        elif near:
            total = sum(d**-exponent for d, _ in near)
            for d, i in near:
                scores[i] -= d**-exponent / total
    return scores


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 12), st.integers(1, 4), st.integers(1, 3), st.integers(1, 14), st.integers(0, 10**6))
def test_scores_are_the_definition(size: int, width: int, subspace: int, neighbors: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    embeddings = rng.normal(size=(size, width))  # no ties, so the border of the neighbourhood is unique
    dims, points = draw_points(embeddings, 30, subspace, rng)
    found = subspace_scores(embeddings, dims, points, neighbors=neighbors, exponent=3.0)
    assert found == pytest.approx(by_hand(embeddings, dims, points, neighbors, 3.0), abs=1e-9)


@settings(max_examples=100, deadline=None)
@given(st.integers(2, 10), st.integers(0, 10**6))
def test_copies_lose_alone_and_gains_balance_losses(size: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    embeddings = rng.integers(0, 3, size=(size, 2)).astype(np.float64)
    dims, points = draw_points(embeddings, 30, 2, rng)
    found = subspace_scores(embeddings, dims, points, neighbors=size, exponent=4.0)
    assert found.sum() == pytest.approx(0, abs=1e-9)
    # Every other image is within reach, so the neighbourhood has no border; the sole copy is the only loser.
    pair = np.array([[0.0, 0.0], [0.0, 0.0], [5.0, 5.0]])
    assert subspace_scores(pair, np.array([[0, 1]]), np.array([[0.1, 0.1]])).tolist() == [1, -1, 0]


def test_points_follow_the_triangular_distribution() -> None:
    rng = np.random.default_rng(0)
    embeddings = np.stack([np.array([0, 2, 10.0] * 5), np.full(15, 7.0)], axis=1)
    dims, points = draw_points(embeddings, 20_000, 1, rng)
    assert set(points[dims[:, 0] == 1].ravel().tolist()) == {7.0}  # numpy refuses a triangle of no width
    drawn = points[dims[:, 0] == 0].ravel()
    assert 0 <= drawn.min() < drawn.max() <= 10
    # Mean and variance of the triangle (0, 2, 10); standard error of the mean is 0.02.
    assert drawn.mean() == pytest.approx(4, abs=0.1)
    assert drawn.std() == pytest.approx(math.sqrt((4 + 100 - 20) / 18), abs=0.05)
    assert np.mean(drawn < 2) == pytest.approx(0.2, abs=0.02)


def test_dimensions_of_a_sample_are_distinct() -> None:
    dims, _ = draw_points(np.random.default_rng(0).normal(size=(4, 3)), 200, 9, np.random.default_rng(1))
    assert {tuple(sorted(row)) for row in dims.tolist()} == {(0, 1, 2)}


def test_every_order_of_distinct_dimensions_is_as_likely() -> None:
    dims, _ = draw_points(np.zeros((1, 4)), 24_000, 3, np.random.default_rng(0))
    orders, counts = np.unique(dims, axis=0, return_counts=True)
    assert all(len(set(row)) == 3 for row in orders.tolist())
    assert len(orders) == 24
    assert counts == pytest.approx(1000, abs=150)  # 5 standard errors


@pytest.mark.integration
def test_two_seeds_agree_on_most_of_what_they_keep(digits: ArraySource) -> None:
    """With 20 samples for each image, once the default, they had little more in common than by chance."""
    # Pixels hold few values, so that most images are copies in two dimensions: directions do not.
    rows = digits.embeddings()[::9] @ np.random.default_rng(0).normal(size=(64, 64))
    source = replace(digits, embedding_array=rows.astype(np.float32))
    one, other = (zcore_of(source, 60, seed=seed) for seed in (0, 1))
    few, more = (zcore_of(source, 60, seed=seed, samples=4000) for seed in (0, 1))
    chance = 60 * 60 / 200
    assert len(np.intersect1d(one, other)) > chance + (60 - chance) / 2
    assert len(np.intersect1d(one, other)) > len(np.intersect1d(few, more))


def zcore_of(source: ArraySource, budget: int, seed: int, **params: Any) -> np.ndarray:
    entry = methods.get("zcore")
    pool = method_pool(entry, params, source, size=len(source.embeddings()), num_classes=10, rate=0.5)
    return run_method(entry, pool, params, budget, seed=seed).indices


def test_one_of_many_copies_is_kept(digits: ArraySource) -> None:
    # 60 digits once and one digit 60 times, in four random directions: ZCore keeps few of the copies.
    rng = np.random.default_rng(0)
    pixels = digits.embeddings()[rng.permutation(1797)[:61]] @ rng.normal(size=(64, 4))
    rows = np.concatenate([pixels[:60], np.repeat(pixels[60:], 60, axis=0)]).astype(np.float32)
    source = replace(digits, embedding_array=rows)
    entry = methods.get("zcore")
    pool = method_pool(entry, {}, source, size=120, num_classes=10, rate=0.5)
    kept = run_method(entry, pool, {}, 60, seed=0).indices
    assert (kept >= 60).sum() < 20
