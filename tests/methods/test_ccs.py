from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import SelectionError
from bench.methods.ccs import stratified
from tests.methods.cases import rng


def test_budgets_by_hand() -> None:
    # Width 1 over [0, 4]: strata of 8, 1, 0 and 4 scores, the last one holding the maximum.
    scores = np.array([0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 1.5, 3.1, 3.2, 3.3, 4.0])
    kept = stratified(scores, 8, rng(), beta=0.0, strata=4)
    # Smallest first: 0 of 0, 1 of 1, then (8 - 1) // 2 = 3 of 4, then the remaining 4 of 8.
    assert [int(((kept >= a) & (kept < b)).sum()) for a, b in [(0, 8), (8, 9), (9, 13)]] == [4, 1, 3]


def test_remainder_of_the_division_is_handed_out() -> None:
    scores = np.repeat([0.0, 1.0, 2.0], [10, 20, 30])
    kept = stratified(scores, 8, rng(), beta=0.0, strata=3)
    assert np.bincount(scores[kept].astype(int)).tolist() == [2, 3, 3]


@pytest.mark.parametrize("level", [0.0, 1.0, -1.0, 1e300, -1e300])
def test_equal_scores_are_one_stratum(level: float) -> None:
    kept = stratified(np.full(40, level), 7, rng(), beta=0.25)
    assert len(set(kept.tolist())) == 7


@pytest.mark.parametrize("shift", [0.0, -5.0, -1000.0])
def test_top_score_is_reachable_whatever_the_sign(shift: float) -> None:
    scores = np.linspace(0, 1, 50) + shift
    assert sorted(stratified(scores, 50, rng(), beta=0.0).tolist()) == list(range(50))
    assert 49 in stratified(scores, 49, rng(3), beta=0.0, strata=49).tolist()


def test_range_of_extreme_floats_does_not_overflow() -> None:
    scores = np.array([-1.7e308, 0.0, 1.7e308])
    assert len(stratified(scores, 2, rng(), beta=0.0)) == 2


@given(
    st.lists(st.floats(-100, 100, width=32), min_size=1, max_size=60),
    st.sampled_from([0.0, 0.1, 0.29, 0.5]),
    st.integers(1, 12),
    st.integers(0, 2**31),
    st.data(),
)
def test_against_the_definition(scores: list[float], beta: float, strata: int, seed: int, data: st.DataObject) -> None:
    array = np.array(scores, dtype=np.float32)
    size, dropped = len(array), int(round(beta * 100) * len(array) // 100)
    budget = data.draw(st.integers(0, size - dropped))
    kept = stratified(array, budget, rng(seed), beta=beta, strata=strata)
    assert len(set(kept.tolist())) == budget
    remaining = np.sort(array)[: size - dropped].astype(np.float64)
    assert not budget or array[kept].max() <= remaining[-1]
    if not budget:
        return
    low, width = remaining[0], remaining[-1] - remaining[0]

    def counts(values: np.ndarray) -> list[int]:
        numbers = [min(int((v - low) / width * strata), strata - 1) if width else 0 for v in values]
        return np.bincount(numbers, minlength=strata).tolist()

    found = sorted(zip(counts(remaining), counts(array[kept].astype(np.float64)), strict=True))
    left = budget
    for position, (stratum_size, quota) in enumerate(found):
        expected = min(stratum_size, left // (strata - position))
        assert quota == expected
        left -= expected
    assert left == 0


def test_hardest_are_dropped_and_beta_too_large_is_refused() -> None:
    scores = np.arange(100.0)
    assert stratified(scores, 50, rng(), beta=0.3).max() < 70
    with pytest.raises(SelectionError, match=r"largest valid beta is 0\.5"):
        stratified(scores, 50, rng(), beta=0.6)


def test_whole_remainder_is_kept_when_beta_is_the_rate() -> None:
    kept = stratified(np.arange(100.0), 10, rng(), beta=0.9)
    assert sorted(kept.tolist()) == list(range(10))


def test_scale_of_imagenet() -> None:
    scores = rng().gamma(2.0, size=1_281_167)
    kept = stratified(scores, 128_117, rng(), beta=0.3)
    assert len(np.unique(kept)) == 128_117


@given(
    st.lists(st.tuples(st.floats(-100, 100, width=32), st.integers(0, 3)), min_size=1, max_size=60),
    st.sampled_from([0.0, 0.1, 0.29, 0.5]),
    st.integers(1, 12),
    st.integers(0, 2**31),
    st.data(),
)
def test_per_class_is_ccs_inside_each_class(
    images: list[tuple[float, int]], beta: float, strata: int, seed: int, data: st.DataObject
) -> None:
    scores = np.array([score for score, _ in images], dtype=np.float32)
    classes = np.array([number for _, number in images])
    size = len(scores)
    budget = data.draw(st.integers(0, size - int(round(beta * 100) * size // 100)))
    kept = stratified(scores, budget, rng(seed), beta=beta, strata=strata, classes=classes)
    assert len(set(kept.tolist())) == budget
    for number in set(classes.tolist()):
        members = np.flatnonzero(classes == number)
        chosen = kept[classes[kept] == number]
        assert abs(len(chosen) - budget * len(members) / size) < 1
        dropped = min(int(round(beta * 100) * len(members) // 100), len(members) - len(chosen))
        remaining = np.sort(scores[members])[: len(members) - dropped].astype(np.float64)
        if not len(chosen):
            continue
        assert scores[chosen].max() <= remaining[-1]
        low, width = remaining[0], remaining[-1] - remaining[0]

        def counts(values: np.ndarray, low: float = low, width: int = width) -> list[int]:
            numbers = [min(int((v - low) / width * strata), strata - 1) if width else 0 for v in values]
            return np.bincount(numbers, minlength=strata).tolist()

        left = len(chosen)
        found = sorted(zip(counts(remaining), counts(scores[chosen].astype(np.float64)), strict=True))
        for position, (stratum_size, quota) in enumerate(found):
            assert quota == min(stratum_size, left // (strata - position))
            left -= quota


def test_per_class_keeps_the_classes_shares_where_ccs_does_not() -> None:
    # One class is easy and one hard: strata over the whole pool favour neither, but not in proportion to size.
    scores = np.concatenate([rng(1).normal(0, 0.1, 900), rng(2).normal(5, 1, 100)])
    classes = np.repeat([0, 1], [900, 100])
    shares = [
        np.bincount(classes[stratified(scores, 100, rng(3), beta=0.05, classes=groups)]) for groups in (None, classes)
    ]
    assert shares[0][1] >= 40
    assert shares[1].tolist() == [90, 10]


def test_first_images_of_the_order_are_a_fair_draw() -> None:
    scores = np.repeat(np.arange(10.0), 50)
    firsts = [scores[stratified(scores, 100, rng(seed), beta=0.0, strata=10)[:10]].mean() for seed in range(200)]
    assert np.mean(firsts) == pytest.approx(4.5, abs=0.3)
