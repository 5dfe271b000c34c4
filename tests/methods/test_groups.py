from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import fair_quotas
from bench.methods._groups import sample_groups
from bench.methods.random_balanced import balanced
from bench.methods.random_uniform import uniform

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


def test_every_class_has_its_own_budget() -> None:
    labels = np.repeat([0, 1, 2], [200, 50, 5])
    kept = balanced(labels, 3, 60, np.random.default_rng(0))
    assert sorted(np.bincount(labels[kept]).tolist()) == [5, 27, 28]


def test_remainder_goes_to_no_fixed_class() -> None:
    labels = np.repeat(np.arange(10), 20)
    seen = {int(labels[balanced(labels, 10, 1, np.random.default_rng(seed))[0]]) for seed in range(200)}
    assert seen == set(range(10))


def test_uniform_draws_every_image_equally_often() -> None:
    drawn = np.concatenate([uniform(10, 3, np.random.default_rng(seed)) for seed in range(4000)])
    np.testing.assert_allclose(np.bincount(drawn, minlength=10) / 4000, [0.3] * 10, atol=0.04)
