"""Graph cut: its definition written out, pick by pick."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench import unit_rows
from bench.array_source import ArraySource
from bench.methods.graph_cut import greedy_cut
from tests.methods.cases import Case, point_sets, run


@settings(max_examples=200)
@given(point_sets(), st.sampled_from([0.0, 0.25, 0.5, 2.0]))
def test_graph_cut_is_greedy_by_its_definition(case: Case, redundancy: float) -> None:
    points, budget = case
    rows = points / 8  # whole numbers over a power of two, so that sums are exact and ties are ties

    def similarity(i: int, j: int) -> float:
        return (1 + float(rows[i] @ rows[j])) / 2

    def value(chosen: Sequence[int]) -> float:
        everything = sum(similarity(i, j) for i in range(len(rows)) for j in chosen)
        return everything - redundancy * sum(similarity(j, k) for j in chosen for k in chosen)

    by_hand: list[int] = []
    while len(by_hand) < budget:
        left = [i for i in range(len(rows)) if i not in by_hand]
        by_hand.append(max(left, key=lambda i: (value([*by_hand, i]), -i)))
    assert greedy_cut(rows, budget, redundancy).tolist() == by_hand


@pytest.mark.parametrize("redundancy", [0.25, 0.5])  # beyond, greedy has no guarantee
def test_graph_cut_is_better_by_its_own_measure_than_chance(digits: ArraySource, redundancy: float) -> None:
    rows = unit_rows(digits.embeddings())

    def value(kept: np.ndarray) -> float:
        return ((1 + rows @ rows[kept].T) / 2).sum() - redundancy * ((1 + rows[kept] @ rows[kept].T) / 2).sum()

    chance = [value(np.random.default_rng(seed).choice(1797, 90, replace=False)) for seed in range(10)]
    assert value(run("graph-cut", digits, 90, redundancy=redundancy)) > max(chance)


def test_graph_cut_without_its_penalty_keeps_the_most_typical(digits: ArraySource) -> None:
    rows = unit_rows(digits.embeddings())
    kept = run("graph-cut", digits, 90, redundancy=0.0)
    assert set(kept.tolist()) == set(np.argsort(-(rows @ rows.sum(0)))[:90].tolist())
