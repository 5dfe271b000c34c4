from __future__ import annotations

from dataclasses import replace

import numpy as np

from bench.array_source import ArraySource
from bench.plugins import methods
from bench.selection import method_pool, run_method


def test_the_largest_norms_are_kept_and_reported(some_digits: ArraySource) -> None:
    norms = np.random.default_rng(0).gamma(2.0, size=300).astype(np.float32)
    entry, source = methods.get("grand"), replace(some_digits, gradient_norm_array=norms)
    pool = method_pool(entry, {}, source, size=300, num_classes=10, rate=0.9)
    kept = run_method(entry, pool, {}, 30, seed=0).indices
    assert kept.tolist() == sorted(np.argsort(norms)[-30:].tolist())
    np.testing.assert_array_equal(pool.diagnostics.scores, norms)


def test_its_options_are_those_of_the_stage() -> None:
    entry = methods.get("grand")
    [item] = entry.info.needs(entry.resolve({"epochs": 3, "layers": "last"}))
    assert (item.part, dict(item.options)) == ("gradient_norms", {"networks": 10, "epochs": 3, "layers": "last"})
