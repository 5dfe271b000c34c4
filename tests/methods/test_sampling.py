"""DUAL's Beta sampling against the density and numpy's own draws, and ELFS with other samplings than its own."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.stats import beta as beta_distribution
from scipy.stats import spearmanr

from bench import Pool, SelectionError, hard_to_easy
from bench.array_source import ArraySource
from bench.methods._scores import beta_sample
from bench.methods.ccs import stratified
from bench.methods.elfs import beta_grid
from bench.plugins import methods
from bench.selection import method_pool, run_method
from tests.narrowing import present


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def chances(score: np.ndarray, confidence: np.ndarray, rate: float, exponent: float) -> np.ndarray:
    """The probabilities of the first draw, as the paper's section 4.2 and its released code have them."""
    anchor = confidence[np.argsort(score)[-10:]].mean()
    b = 15 * (1 - anchor) * (1 - rate**exponent)
    p = beta_distribution.pdf(confidence, 16 - b, b) * score
    return p / p.sum()


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


def pool_of(name: str, source: ArraySource, rate: float = 0.9, **params: Any) -> Pool:
    return method_pool(methods.get(name), params, source, size=1797, num_classes=10, rate=rate)


def run(name: str, source: ArraySource, budget: int, seed: int = 0, **params: Any) -> np.ndarray:
    return run_method(methods.get(name), pool_of(name, source, **params), params, budget, seed)


def test_dual_draws_by_the_early_confidence_and_keeps_the_highest_scores_otherwise(digits: ArraySource) -> None:
    dynamics = present(digits.dynamics_labels)
    expected = chances(dynamics.dual.astype(float), dynamics.early_confidence.astype(float), 1 - 180 / 1797, 4.0)
    drawn = [run("dual", digits, 180, seed=seed, sampling="beta") for seed in range(40)]
    counts = np.bincount(np.concatenate(drawn), minlength=1797)
    assert spearmanr(counts, expected).statistic > 0.5
    assert counts[np.argsort(-expected)[:180]].mean() > 1.5 * counts.mean()
    other = replace(digits, dynamics_labels=replace(dynamics, early_confidence=dynamics.early_confidence[::-1].copy()))
    assert run("dual", other, 180, sampling="beta").tolist() != run("dual", digits, 180, sampling="beta").tolist()
    assert run("dual", other, 180).tolist() == run("dual", digits, 180).tolist()


def elfs(source: ArraySource, budget: int, seed: int = 0, **params: Any) -> np.ndarray:
    """What the method returns with ``beta`` set, in its order."""
    entry = methods.get("elfs")
    return entry.function(pool_of("elfs", source, **params), budget, rng(seed), **entry.resolve(params))


@pytest.mark.parametrize("per_cluster", [False, True])
def test_elfs_by_strata_is_ccs_on_pseudo_labels(digits: ArraySource, per_cluster: bool) -> None:
    kept = elfs(digits, 180, beta=0.2, sampling="strata", per_cluster=per_cluster)
    difficulty = present(digits.dynamics_pseudo).difficulty("aum")
    draws = rng(0)
    draws.permutation(1797)  # the ties
    seed = int(draws.integers(2**63))
    clusters = digits.pseudo_label_array if per_cluster else None
    assert kept.tolist() == stratified(difficulty, 180, rng(seed), beta=0.2, classes=clusters).tolist()
    if per_cluster:
        shares = np.bincount(present(digits.pseudo_label_array)[kept], minlength=10)
        assert np.abs(shares - 180 * np.bincount(present(digits.pseudo_label_array)) / 1797).max() < 1


def test_elfs_by_the_beta_density_draws_among_what_the_cut_leaves(digits: ArraySource) -> None:
    dynamics = present(digits.dynamics_pseudo)
    kept = elfs(digits, 180, seed=5, beta=0.3, sampling="beta")
    draws = rng(5)
    left = hard_to_easy(dynamics.difficulty("aum"), draws)[int(0.3 * 1797) :]
    seed, rate = int(draws.integers(2**63)), 1 - 180 / 1797
    by_hand = beta_sample(dynamics.dual[left], dynamics.early_confidence[left], 180, rng(seed), rate=rate, exponent=4.0)
    assert kept.tolist() == left[by_hand].tolist()


@pytest.mark.parametrize(
    "params", [{"sampling": "strata"}, {"sampling": "beta"}, {"sampling": "strata", "per_cluster": True}]
)
def test_auto_is_the_best_fixed_beta_by_rehearsal(digits: ArraySource, params: dict[str, Any]) -> None:
    blind = replace(digits, label_array=None, dynamics_labels=None)
    fixed = [run("elfs", blind, 180, beta=beta, **params) for beta in beta_grid(1797, 180)]
    rehearsed = [present(blind.rehearsal)(kept) for kept in fixed]
    by_rehearsal = run("elfs", blind, 180, rehearsal="own-pseudo-labels", **params)
    assert by_rehearsal.tolist() == fixed[int(np.argmax(rehearsed))].tolist()


def test_only_sampling_per_cluster_declares_pseudo_labels() -> None:
    entry = methods.get("elfs")

    def parts(**params: Any) -> set[str]:
        return {item.part for item in entry.info.needs(entry.resolve(params))}

    assert "pseudo_labels" in parts(sampling="strata", per_cluster=True)
    assert "pseudo_labels" not in parts(per_cluster=True) | parts(sampling="strata") | parts(sampling="beta")
