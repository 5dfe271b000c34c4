"""Forgetting: images that were never learned, and ties."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bench.array_source import ArraySource
from tests.methods.cases import run
from tests.narrowing import present


def test_never_learned_images_rank_at_either_end(digits: ArraySource) -> None:
    learned = present(digits.dynamics_labels).learned.copy()
    counts = present(digits.dynamics_labels).forgetting.copy()
    never = np.arange(0, 1797, 100)
    learned[never], counts[never] = False, 0
    source = replace(
        digits, dynamics_labels=replace(present(digits.dynamics_labels), learned=learned, forgetting=counts)
    )
    assert set(never) <= set(run("forgetting", source, 50).tolist())
    kept = run("forgetting", source, 50, never_learned="zero")
    assert counts[kept].min() >= np.sort(counts)[-50]
    assert not set(never) & set(kept.tolist())


def test_forgetting_ties_depend_on_the_seed_alone(digits: ArraySource) -> None:
    assert run("forgetting", digits, 900, seed=0).tolist() == run("forgetting", digits, 900, seed=0).tolist()
    assert run("forgetting", digits, 900, seed=0).tolist() != run("forgetting", digits, 900, seed=1).tolist()
    labels = digits.labels()[run("forgetting", digits, 900)]
    assert np.bincount(labels, minlength=10).min() > 20
