"""Herding: each pick against all others, and how near the coreset's mean comes."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings

from bench import unit_rows
from bench.array_source import ArraySource
from bench.methods.herding import follow_mean
from tests.methods.cases import Case, point_sets, run


@settings(max_examples=200)
@given(point_sets())
def test_each_pick_brings_the_mean_nearest(case: Case) -> None:
    points, budget = case
    norms = np.linalg.norm(points, axis=1, keepdims=True)
    rows = np.where(norms == 0, [[1.0, 0.0]], points / np.where(norms == 0, 1, norms))
    picks = follow_mean(rows, budget).tolist()
    assert len(set(picks)) == budget
    mean = rows.sum(0) / len(rows)
    for step, pick in enumerate(picks):
        left = [i for i in range(len(rows)) if i not in picks[:step]]
        gaps = {i: math.dist(mean, sum(rows[j] for j in [*picks[:step], i]) / (step + 1)) for i in left}
        assert gaps[pick] == pytest.approx(min(gaps.values()), abs=1e-7)


def test_herding_matches_the_mean_of_the_digits(digits: ArraySource) -> None:
    rows = unit_rows(digits.embeddings())

    def gap(kept: np.ndarray) -> float:
        return float(np.linalg.norm(rows[kept].mean(0) - rows.mean(0)))

    chance = [gap(np.random.default_rng(seed).choice(1797, 90, replace=False)) for seed in range(5)]
    assert gap(run("herding", digits, 90)) < 0.2 * min(chance)


def test_herding_by_clusters_matches_the_mean_of_every_class_better(digits: ArraySource) -> None:
    rows, labels = unit_rows(digits.embeddings()), digits.labels()

    def gap(kept: np.ndarray) -> float:
        means = [np.linalg.norm(rows[kept][labels[kept] == c].mean(0) - rows[labels == c].mean(0)) for c in range(10)]
        return np.mean(means)

    chance = [gap(np.random.default_rng(seed).choice(1797, 180, replace=False)) for seed in range(5)]
    assert gap(run("herding", digits, 180, clusters=10)) < 0.7 * min(chance)
