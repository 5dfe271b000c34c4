"""Facility location: lazy greedy against greedy, its guarantee, and digits."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from bench import unit_rows
from bench.array_source import ArraySource, brute_force_neighbors
from bench.methods.facility_location import cosine_similarity, lazy_greedy
from tests.methods.cases import Case, run


@st.composite
def similarities(draw: st.DrawFn) -> Case:
    size = draw(st.integers(1, 8))
    dense = np.eye(size)
    for i, j in itertools.combinations(range(size), 2):
        dense[i, j] = dense[j, i] = draw(st.integers(0, 4)) / 4  # exact sums, so that ties are ties
    return dense, draw(st.integers(0, size))


def served(dense: np.ndarray, chosen: Sequence[int]) -> float:
    return sum(max((dense[j, i] for j in chosen), default=0.0) for i in range(len(dense)))


@settings(max_examples=200)
@given(similarities())
def test_lazy_greedy_is_greedy_with_ties_by_index(case: Case) -> None:
    dense, budget = case
    by_hand: list[int] = []
    while len(by_hand) < budget:
        left = [j for j in range(len(dense)) if j not in by_hand]
        by_hand.append(max(left, key=lambda j: (served(dense, [*by_hand, j]), -j)))
    assert lazy_greedy(csr_array(dense), budget).tolist() == by_hand


@settings(max_examples=50, deadline=None)
@given(similarities())
def test_greedy_reaches_its_guarantee(case: Case) -> None:
    dense, budget = case
    best = max(served(dense, chosen) for chosen in itertools.combinations(range(len(dense)), budget))
    assert served(dense, lazy_greedy(csr_array(dense), budget).tolist()) >= (1 - 1 / math.e) * best - 1e-9


def test_similarities_are_the_cosines_of_neighbours(some_digits: ArraySource) -> None:
    rows = unit_rows(some_digits.embeddings()).astype(np.float64)
    found = cosine_similarity(brute_force_neighbors(some_digits.embeddings(), 5)).toarray()
    listed = np.zeros_like(found, dtype=bool)
    np.put_along_axis(listed, brute_force_neighbors(some_digits.embeddings(), 5).indices, True, axis=1)
    listed |= listed.T | np.eye(len(rows), dtype=bool)
    np.testing.assert_allclose(found, np.where(listed, rows @ rows.T, 0), atol=1e-5)
    assert found.min() >= 0
    assert (found == found.T).all()


def test_facility_location_serves_the_digits_better_than_chance(digits: ArraySource) -> None:
    rows = unit_rows(digits.embeddings())

    def nearest(kept: np.ndarray) -> float:
        return (rows @ rows[kept].T).max(1).mean()

    chance = [nearest(np.random.default_rng(seed).choice(1797, 90, replace=False)) for seed in range(5)]
    kept = run("facility-location", digits, 90)
    assert 1 - nearest(kept) < 0.9 * (1 - max(chance))
