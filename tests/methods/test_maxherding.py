"""MaxHerding on digits, whole and from a part of the pool."""

from __future__ import annotations

import numpy as np
import pytest

from bench import unit_rows
from bench.array_source import ArraySource
from tests.methods.cases import rng, run


def test_maxherding_covers_the_digits_better_than_chance(digits: ArraySource) -> None:
    rows = unit_rows(digits.embeddings())

    def served(picks: np.ndarray) -> float:
        return np.exp(2 * (rows @ rows[picks].T) - 2).max(1).mean()

    kept = run("maxherding", digits, 30)
    chance = [served(rng(seed).choice(1797, 30, replace=False)) for seed in range(5)]
    assert 1 - served(kept) < 0.85 * (1 - max(chance))


def test_maxherding_says_that_a_subset_beyond_the_pool_changes_nothing(
    digits: ArraySource, caplog: pytest.LogCaptureFixture
) -> None:
    whole = run("maxherding", digits, 10)
    assert not caplog.records, "the default is larger than most pools"
    run("maxherding", digits, 10, subset=150)
    assert not caplog.records
    assert run("maxherding", digits, 10, subset=50_000).tolist() == whole.tolist()
    [record] = caplog.records
    assert record.getMessage() == "maxherding: subset=50000 changes nothing, since the whole pool of 1797 is compared"


def test_maxherding_takes_a_subset_of_a_large_pool(digits: ArraySource) -> None:
    assert len(set(run("maxherding", digits, 100, subset=150).tolist())) == 100
    half = [run("maxherding", digits, 100, seed=seed, subset=150).tolist() for seed in range(2)]
    assert half[0] != half[1]
