from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import fair_quotas
from bench.methods._groups import proportional_quotas, sample_groups

SIZES = st.lists(st.integers(0, 12), min_size=1, max_size=12)


@pytest.mark.parametrize(
    ("sizes", "budget", "quotas"),
    [
        ([1, 10, 20], 9, [1, 4, 4]),
        ([1, 10, 20], 10, [1, 4, 5]),
        ([20, 0, 3], 10, [7, 0, 3]),
        ([2, 100, 50], 152, [2, 100, 50]),
        ([4, 9], 0, [0, 0]),
    ],
)
def test_quotas_by_hand(sizes: list[int], budget: int, quotas: list[int]) -> None:
    assert fair_quotas(np.array(sizes), budget, np.random.default_rng(0)).tolist() == quotas


@given(SIZES, st.integers(0, 2**31), st.data())
def test_quotas_are_exact_and_as_equal_as_sizes_allow(sizes: list[int], seed: int, data: st.DataObject) -> None:
    budget = data.draw(st.integers(0, sum(sizes)))
    quotas = fair_quotas(np.array(sizes), budget, np.random.default_rng(seed))
    assert quotas.sum() == budget
    assert (quotas >= 0).all()
    assert (quotas <= sizes).all()
    held_back = quotas[quotas < sizes]
    assert len(held_back) == 0 or quotas.max() - held_back.min() <= 1


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
