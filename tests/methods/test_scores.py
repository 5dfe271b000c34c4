from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from bench import SelectionError, hardest
from bench.array_source import ArraySource
from bench.methods._scores import beta_sample
from tests.methods.cases import chances, rng
from tests.narrowing import present


@pytest.mark.parametrize(("rate", "exponent"), [(0.3, 4.0), (0.7, 4.0), (0.9, 4.0), (0.9, 2.0)])
def test_draws_have_the_papers_probabilities(rate: float, exponent: float) -> None:
    score, confidence = rng(1).random(12), rng(2).uniform(0.05, 0.95, 12)
    expected = chances(score, confidence, rate, exponent)
    first, second = np.zeros(12), np.zeros((12, 12))
    for seed in range(6000):
        drawn = beta_sample(score, confidence, 2, rng(seed), rate=rate, exponent=exponent)
        first[drawn[0]] += 1
        second[drawn[0], drawn[1]] += 1
    np.testing.assert_allclose(first / 6000, expected, atol=4 * np.sqrt(expected.max() / 6000))
    # The second draw is from what is left, the probabilities scaled up.
    top = int(expected.argmax())
    rest = np.where(np.arange(12) == top, 0, expected) / (1 - expected[top])
    np.testing.assert_allclose(second[top] / first[top], rest, atol=4 * math.sqrt(rest.max() / first[top]))


def test_coresets_are_as_those_of_numpys_choice(digits: ArraySource) -> None:
    """A second implementation: the released code's call of numpy, on real dynamics; mean and spread of what is kept."""
    dynamics = present(digits.dynamics_labels)
    score, confidence = dynamics.dual.astype(np.float64), dynamics.early_confidence.astype(np.float64)
    p = chances(score, confidence, 0.9, 4.0)

    def kept(draw: Callable[[int], np.ndarray]) -> np.ndarray:
        return np.array([confidence[draw(seed)].mean() for seed in range(200)])

    ours = kept(lambda seed: beta_sample(score, confidence, 180, rng(seed), rate=0.9, exponent=4.0))
    theirs = kept(lambda seed: rng(seed).choice(1797, 180, replace=False, p=p))
    assert ours.mean() == pytest.approx(theirs.mean(), abs=4 * theirs.std() / math.sqrt(200))
    assert ours.std() == pytest.approx(theirs.std(), rel=0.25)


def test_high_rates_turn_to_easy_images(digits: ArraySource) -> None:
    dynamics = present(digits.dynamics_labels)

    def confidence(rate: float) -> float:
        budget = round((1 - rate) * 1797)
        drawn = beta_sample(dynamics.dual, dynamics.early_confidence, budget, rng(), rate=rate, exponent=4.0)
        return dynamics.early_confidence[drawn].mean()

    top = np.argsort(-dynamics.dual)
    assert confidence(0.98) > dynamics.early_confidence[top[:36]].mean() + 0.1
    # Relative to the highest scores the draw moves towards easy images as the rate grows.
    gaps = [
        confidence(rate) - dynamics.early_confidence[top[: round((1 - rate) * 1797)]].mean() for rate in (0.5, 0.95)
    ]
    assert gaps[1] > gaps[0]


@pytest.mark.parametrize(
    ("score", "confidence"),
    [
        (np.zeros(20), np.zeros(20)),
        (np.ones(20), np.ones(20)),
        (np.r_[np.zeros(15), np.ones(5)], np.linspace(0, 1, 20)),
    ],
)
def test_every_budget_is_met_where_probabilities_are_0_or_infinite(score: np.ndarray, confidence: np.ndarray) -> None:
    for budget in (0, 1, 7, 20):
        for rate in (0.0, 0.5, 1.0):
            drawn = beta_sample(score, confidence, budget, rng(), rate=rate, exponent=4.0)
            assert len(set(drawn.tolist())) == budget
    # What has a score comes first.
    drawn = beta_sample(score, confidence, 20, rng(), rate=0.5, exponent=4.0)
    assert (np.diff((score[drawn] > 0).astype(int)) <= 0).all()


def test_what_is_not_finite_is_refused() -> None:
    for score, confidence in (([np.nan, 1], [0.5, 0.5]), ([1, 1], [0.5, np.inf])):
        with pytest.raises(SelectionError, match="NaN or infinite"):
            beta_sample(np.array(score), np.array(confidence), 1, rng(), rate=0.5, exponent=4.0)


def test_ties_do_not_follow_the_order_of_the_data_set(digits: ArraySource) -> None:
    labels = digits.labels()
    kept = hardest(np.zeros(len(labels)), 400, np.random.default_rng(0))
    assert np.bincount(labels[kept], minlength=10).min() > 20
