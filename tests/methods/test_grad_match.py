"""GRAD-MATCH against a pursuit by hand, and on digits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.array_source import ArraySource
from bench.methods._gradients import Gradients
from bench.methods.grad_match import matching_pursuit
from tests.methods.gradient_cases import learned, run, written_out


def pursuit_by_hand(dense: np.ndarray, budget: int, penalty: float) -> list[int]:
    """Pick what the residual points along most, then fit all picks again by ridge regression."""
    dense = dense / np.sqrt((dense**2).sum(1).mean())
    target, picks = dense.sum(0), []  # type: ignore[var-annotated]
    weights = np.zeros(len(dense))
    for _ in range(budget):
        slope = dense @ (target - weights @ dense) - penalty * weights
        slope[picks] = 0
        picks.append(int(np.abs(slope).argmax()))
        # Ridge regression as least squares with a row for each weight.
        rows = np.vstack([dense[picks].T, np.sqrt(penalty) * np.eye(len(picks))])
        fitted = np.linalg.lstsq(rows, np.concatenate([target, np.zeros(len(picks))]), rcond=None)[0]
        weights = np.zeros(len(dense))
        weights[picks] = fitted
    return sorted(picks)


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 14), st.integers(2, 3), st.integers(1, 4), st.sampled_from([0.1, 0.5, 2.0]), st.integers(0, 999))
def test_matching_pursuit_by_hand(size: int, classes: int, width: int, penalty: float, seed: int) -> None:
    draws = np.random.default_rng(seed)
    gradients = Gradients(*(draws.normal(size=(size, columns)).astype(np.float32) for columns in (classes, width)))
    dense = np.array(written_out(gradients))
    for budget in (1, (size + 1) // 2, size):
        assert matching_pursuit(gradients, budget, penalty).tolist() == pursuit_by_hand(dense, budget, penalty)


def test_a_pursuit_without_penalty_ends_where_the_match_is_exact() -> None:
    """Three gradients in a plane: two of them give the sum of all."""
    gradients = Gradients(np.array([[1, 0], [0, 1], [1, 1]], dtype=np.float32), np.zeros((3, 1), dtype=np.float32))
    assert len(matching_pursuit(gradients, 3, 0.0)) == 1, "the sum is a multiple of the third"
    assert len(matching_pursuit(gradients, 3, 0.5)) == 3
    assert matching_pursuit(gradients, 0, 0.5).tolist() == []
    nothing = Gradients(np.zeros((3, 2), dtype=np.float32), np.zeros((3, 1), dtype=np.float32))
    assert matching_pursuit(nothing, 2, 0.5).tolist() == []


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
    assert missed(run("grad-match-unweighted", source, 60, block=block)) < 0.9 * min(chance)
