"""GRAD-MATCH against a pursuit by hand, and on digits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import nnls

from bench.array_source import ArraySource
from bench.methods._gradients import Gradients
from bench.methods.grad_match import matching_pursuit
from tests.methods.conftest import remake
from tests.methods.gradient_cases import learned, off, run, select, with_network, written_out


def rows_of(dense: np.ndarray, penalty: float) -> tuple[np.ndarray, np.ndarray]:
    """Non-negative ridge regression as least squares with a row for each weight."""
    dense = dense / np.sqrt((dense**2).sum(1).mean())
    return np.vstack([dense.T, np.sqrt(penalty) * np.eye(len(dense))]), np.append(dense.sum(0), np.zeros(len(dense)))


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 14), st.integers(2, 3), st.integers(1, 4), st.sampled_from([0.1, 0.5, 2.0]), st.integers(0, 999))
def test_matching_pursuit_by_hand(size: int, classes: int, width: int, penalty: float, seed: int) -> None:
    draws = np.random.default_rng(seed)
    gradients = Gradients(*(draws.normal(size=(size, columns)).astype(np.float32) for columns in (classes, width)))
    rows, target = rows_of(np.array(written_out(gradients)), penalty)

    # Picks of what lowers the distance most steeply, all weights fitted again after each, while none falls below 0.
    steepest: list[int] = []
    for budget in range(1, size + 1):
        fitted = np.linalg.lstsq(rows[:, steepest], target, rcond=None)[0] if steepest else np.empty(0)
        slopes = rows.T @ (target - rows[:, steepest] @ fitted)
        slopes[steepest] = -np.inf
        if slopes.max() <= 1e-6:
            assert len(matching_pursuit(gradients, budget, penalty)[0]) == len(steepest)
            break
        steepest.append(int(slopes.argmax()))
        if np.linalg.lstsq(rows[:, steepest], target, rcond=None)[0].min() <= 1e-6:
            break
        assert matching_pursuit(gradients, budget, penalty)[0].tolist() == sorted(steepest)

    for budget in range(size + 1):
        picks, weights = matching_pursuit(gradients, budget, penalty)
        assert len(picks) <= budget
        assert (weights > 0).all()
        # The coefficients of the picks, whatever was let go on the way.
        np.testing.assert_allclose(weights, np.linalg.lstsq(rows[:, picks], target, rcond=None)[0], atol=1e-5)
    # Without a budget that binds, the best of all weights from 0 on.
    best = np.zeros(size)
    best[picks] = weights
    np.testing.assert_allclose(best, nnls(rows, target)[0], atol=1e-5)


def test_a_pursuit_without_penalty_ends_where_the_match_is_exact() -> None:
    """Three gradients in a plane, the third the sum of the others: twice the third is the sum of all."""
    gradients = Gradients(np.array([[1, 0], [0, 1], [1, 1]], dtype=np.float32), np.zeros((3, 1), dtype=np.float32))
    picks, weights = matching_pursuit(gradients, 3, 0.0)
    assert picks.tolist() == [2]
    np.testing.assert_allclose(weights, [2], rtol=1e-6)
    assert len(matching_pursuit(gradients, 3, 0.5)[0]) == 3
    assert matching_pursuit(gradients, 0, 0.5)[0].tolist() == []
    nothing = Gradients(np.zeros((3, 2), dtype=np.float32), np.zeros((3, 1), dtype=np.float32))
    assert matching_pursuit(nothing, 2, 0.5)[0].tolist() == []


@pytest.mark.parametrize("block", [1_000, 12])
def test_grad_match_matches_the_gradient_of_every_class(some_digits: ArraySource, block: int) -> None:
    source, dense = learned(some_digits)
    labels = source.labels()

    def missed(picks: np.ndarray) -> float:
        """What the best weights of the picks leave of the gradients of the classes, on average."""
        shares = []
        for number in range(10):
            mine = dense[picks[labels[picks] == number]]
            target = dense[labels == number].sum(0)
            weights = np.linalg.lstsq(mine.T, target, rcond=None)[0]
            shares.append(np.linalg.norm(target - weights @ mine) / np.linalg.norm(target))
        return float(np.mean(shares))

    chance = [missed(run("random-balanced", source, 60, seed)) for seed in range(5)]
    assert missed(run("grad-match", source, 60, block=block)) < 0.9 * min(chance)


def test_weights_bring_the_mean_gradient_to_that_of_the_class(some_digits: ArraySource) -> None:
    source, dense = learned(some_digits)
    with_weights, without = (off(select("grad-match", source, 60, weighted=w), source, dense) for w in (True, False))
    chance = [off(select("random-balanced", source, 60, seed), source, dense) for seed in range(5)]
    assert with_weights < 0.5 * min(chance)
    assert with_weights < 0.5 * without


def test_what_is_drawn_where_a_match_is_exact_weighs_as_little_as_the_lightest_pick(some_digits: ArraySource) -> None:
    # Every image three times: a copy of a pick improves no match.
    source = with_network(remake(some_digits, np.repeat(np.arange(100), 3)))
    kept = select("grad-match", source, 290, penalty=0.0)
    labels = source.labels()[kept.indices]
    assert kept.weights is not None
    for number in np.unique(labels):
        mine = kept.weights[labels == number]
        assert (mine == mine.min()).sum() >= len(mine) / 2


def test_without_weights_the_same_images_are_kept(some_digits: ArraySource) -> None:
    source = learned(some_digits)[0]
    kept, plain = select("grad-match", source, 60), select("grad-match", source, 60, weighted=False)
    assert plain.weights is None
    np.testing.assert_array_equal(kept.indices, plain.indices)
