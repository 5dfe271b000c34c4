"""DUAL: draws by the early confidence, and the highest scores otherwise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.stats import spearmanr

from bench.array_source import ArraySource
from tests.methods.cases import chances, keeps_the_highest, run
from tests.narrowing import present


def test_dual_draws_by_the_early_confidence_and_keeps_the_highest_scores_otherwise(digits: ArraySource) -> None:
    dynamics = present(digits.dynamics_labels)
    expected = chances(dynamics.dual.astype(float), dynamics.early_confidence.astype(float), 1 - 180 / 1797, 4.0)
    drawn = [run("dual", digits, 180, rate=0.9, seed=seed, sampling="beta") for seed in range(40)]
    counts = np.bincount(np.concatenate(drawn), minlength=1797)
    assert spearmanr(counts, expected).statistic > 0.5
    assert counts[np.argsort(-expected)[:180]].mean() > 1.5 * counts.mean()
    other = replace(digits, dynamics_labels=replace(dynamics, early_confidence=dynamics.early_confidence[::-1].copy()))
    assert (
        run("dual", other, 180, rate=0.9, sampling="beta").tolist()
        != run("dual", digits, 180, rate=0.9, sampling="beta").tolist()
    )
    assert run("dual", other, 180, rate=0.9).tolist() == run("dual", digits, 180, rate=0.9).tolist()


def test_the_highest_dual_scores_are_kept(digits: ArraySource) -> None:
    assert keeps_the_highest("dual", digits, present(digits.dynamics_labels).dual)
