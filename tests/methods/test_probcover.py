"""ProbCover: its radius by hand, and what it covers."""

from __future__ import annotations

import logging
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench import unit_rows
from bench.array_source import ArraySource
from bench.methods.probcover import pure_radius
from bench.plugins import methods
from bench.selection import run_method
from tests.methods.cases import Case, pool_of, quarter_points, rng, run


@settings(max_examples=200)
@given(quarter_points(), st.data(), st.sampled_from([0.5, 0.8, 0.95, 1.0]))
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
    kept = run_method(methods.get("probcover"), pool, {}, 60, 0).indices
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
