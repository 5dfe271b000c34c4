"""Balanced random choice: each class has its own budget, and no class always gets the remainder."""

from __future__ import annotations

import numpy as np

from bench.methods.random_balanced import balanced


def test_every_class_has_its_own_budget() -> None:
    labels = np.repeat([0, 1, 2], [200, 50, 5])
    kept = balanced(labels, 3, 60, np.random.default_rng(0))
    assert sorted(np.bincount(labels[kept]).tolist()) == [5, 27, 28]


def test_remainder_goes_to_no_fixed_class() -> None:
    labels = np.repeat(np.arange(10), 20)
    seen = {int(labels[balanced(labels, 10, 1, np.random.default_rng(seed))[0]]) for seed in range(200)}
    assert seen == set(range(10))
