"""Rankings: what stays, ties, and how many are dropped."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import SelectionError, count_hardest, fair_quotas, hard_to_easy, hardest

SCORES = st.lists(st.integers(-5, 5).map(float), min_size=1, max_size=30)


@given(SCORES, st.integers(0, 2**31), st.data())
def test_hardest_keeps_n_images_none_easier_than_one_left_out(
    scores: list[float], seed: int, data: st.DataObject
) -> None:
    budget = data.draw(st.integers(0, len(scores)))
    given_scores = np.array(scores)
    kept = hardest(given_scores, budget, np.random.default_rng(seed))
    left = np.setdiff1d(np.arange(len(scores)), kept)
    assert kept.dtype == np.int64
    assert len(set(kept.tolist())) == budget
    assert not (budget and len(left)) or given_scores[kept].min() >= given_scores[left].max()
    assert given_scores.tolist() == scores


@given(SCORES, st.integers(0, 2**31))
def test_order_is_a_permutation_from_hard_to_easy(scores: list[float], seed: int) -> None:
    order = hard_to_easy(np.array(scores), np.random.default_rng(seed))
    assert sorted(order.tolist()) == list(range(len(scores)))
    assert np.array(scores)[order].tolist() == sorted(scores, reverse=True)


@given(st.integers(0, 99), st.integers(0, 10_000))
def test_dropped_is_the_exact_floor(percent: int, size: int) -> None:
    assert count_hardest(percent / 100, size, 0) == Fraction(percent, 100) * size // 1


@pytest.mark.parametrize(
    ("beta", "size", "budget", "message"),
    [
        (0.5, 10, 6, "largest valid beta is 0.4"),
        (0.0, 10, 11, "0 to 10"),
        (0.0, 10, -1, "0 to 10"),
        (1.0, 10, 0, r"\[0, 1\)"),
        (-0.1, 10, 0, r"\[0, 1\)"),
    ],
)
def test_impossible_requests_are_refused(beta: float, size: int, budget: int, message: str) -> None:
    with pytest.raises(SelectionError, match=message):
        count_hardest(beta, size, budget)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_scores_that_are_not_finite_are_refused(bad: float) -> None:
    with pytest.raises(SelectionError, match="1 of 3 scores"):
        hardest(np.array([0.0, bad, 1.0]), 1, np.random.default_rng(0))


SIZES = st.lists(st.integers(0, 12), min_size=1, max_size=12)


@pytest.mark.parametrize(
    ("sizes", "budget", "quotas"),
    [
        ([1, 10, 20], 9, [1, 4, 4]),
        ([1, 10, 20], 10, [1, 4, 5]),
        ([20, 0, 3], 10, [7, 0, 3]),
        ([2, 100, 50], 152, [2, 100, 50]),
        ([4, 9], 0, [0, 0]),
    ],
)
def test_quotas_by_hand(sizes: list[int], budget: int, quotas: list[int]) -> None:
    assert fair_quotas(np.array(sizes), budget, np.random.default_rng(0)).tolist() == quotas


@given(SIZES, st.integers(0, 2**31), st.data())
def test_quotas_are_exact_and_as_equal_as_sizes_allow(sizes: list[int], seed: int, data: st.DataObject) -> None:
    budget = data.draw(st.integers(0, sum(sizes)))
    quotas = fair_quotas(np.array(sizes), budget, np.random.default_rng(seed))
    assert quotas.sum() == budget
    assert (quotas >= 0).all()
    assert (quotas <= sizes).all()
    held_back = quotas[quotas < sizes]
    assert len(held_back) == 0 or quotas.max() - held_back.min() <= 1
