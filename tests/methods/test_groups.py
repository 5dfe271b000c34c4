from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bench.methods._groups import proportional_quotas, sample_groups

SIZES = st.lists(st.integers(0, 12), min_size=1, max_size=12)


@given(SIZES, st.integers(0, 2**31), st.data())
def test_sampling_meets_every_quota(sizes: list[int], seed: int, data: st.DataObject) -> None:
    rng = np.random.default_rng(seed)
    groups = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    quotas = np.array([data.draw(st.integers(0, size)) for size in sizes])
    picked = sample_groups(groups, quotas, rng)
    assert len(set(picked.tolist())) == len(picked)
    assert np.bincount(groups[picked], minlength=len(sizes)).tolist() == quotas.tolist()


def test_sampling_is_uniform_inside_a_group() -> None:
    groups, quotas = np.array([0, 1, 0, 0, 1, 0]), np.array([2, 1])
    drawn = [sample_groups(groups, quotas, np.random.default_rng(seed)) for seed in range(4000)]
    share = np.bincount(np.concatenate(drawn), minlength=6) / 4000
    np.testing.assert_allclose(share, [0.5] * 6, atol=0.04)


@given(st.lists(st.integers(0, 30), min_size=1, max_size=8), st.floats(0, 1), st.integers(0, 5))
def test_proportional_quotas_are_the_share_rounded(sizes: list[int], part: float, seed: int) -> None:
    counts = np.array(sizes)
    total = int(counts.sum())
    budget = round(part * total)
    quotas = proportional_quotas(counts, budget, np.random.default_rng(seed))
    assert quotas.sum() == budget
    for size, quota in zip(counts.tolist(), quotas.tolist(), strict=True):
        assert quota <= size
        assert total == 0 or abs(quota - budget * size / total) < 1
