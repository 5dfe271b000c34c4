"""A seed for each purpose."""

from __future__ import annotations

from bench.identity import derive_seed


def test_derived_seeds_differ_by_seed_and_purpose() -> None:
    seeds = {derive_seed(seed, *words) for seed in range(20) for words in (("a",), ("b",), ("a", "b"))}
    assert len(seeds) == 60
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert derive_seed(3, "training") == derive_seed(3, "training")
