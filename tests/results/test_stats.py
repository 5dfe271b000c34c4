from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats as oracle

from bench.results.stats import (
    chance_jaccard,
    holm,
    jaccard,
    kendall,
    paired_difference,
    paired_test,
    rank_intervals,
    ranks,
    summarize,
)


def test_summary_agrees_with_scipy() -> None:
    values = [81.2, 80.7, 82.9, 79.95, 81.0]
    found = summarize(values)
    low, high = oracle.t.interval(0.95, len(values) - 1, np.mean(values), oracle.sem(values))
    assert found.n == 5
    assert found.mean == pytest.approx(np.mean(values), abs=1e-12)
    assert found.std == pytest.approx(np.std(values, ddof=1), abs=1e-12)
    assert (found.ci_low, found.ci_high) == pytest.approx((low, high), abs=1e-9)


def test_one_seed_has_neither_std_nor_interval() -> None:
    assert summarize([50.0]) == (50.0, None, 1, None, None)


def test_summary_does_not_depend_on_the_order() -> None:
    values = list(np.random.default_rng(0).normal(80, 3, 50))
    assert summarize(values) == summarize(values[::-1]) == summarize(sorted(values))


def test_paired_difference_uses_common_seeds_and_agrees_with_scipy() -> None:
    ours, random = {0: 81.0, 1: 84.5, 2: 79.0, 7: 10.0}, {2: 78.5, 1: 82.0, 0: 80.7, 9: 99.0}
    found = paired_difference(ours, random)
    test = oracle.ttest_rel([81.0, 84.5, 79.0], [80.7, 82.0, 78.5]).confidence_interval(0.95)
    assert found is not None
    assert found.n == 3
    assert found.mean == pytest.approx((0.3 + 2.5 + 0.5) / 3)
    assert (found.ci_low, found.ci_high) == pytest.approx((test.low, test.high), abs=1e-9)


def test_paired_difference_without_a_common_seed_is_none() -> None:
    assert paired_difference({0: 1.0}, {1: 1.0}) is None


def test_highest_value_ranks_first_and_ties_share() -> None:
    values = [3.0, 9.0, 3.0, 1.0, 9.0, 9.0]
    np.testing.assert_array_equal(ranks(values), oracle.rankdata([-value for value in values]))


def test_ranks_of_a_table_are_those_of_its_lines() -> None:
    values = np.random.default_rng(0).integers(0, 4, (3, 5, 6)).astype(float)
    np.testing.assert_array_equal(ranks(values), oracle.rankdata(-values, axis=-1))


@pytest.mark.parametrize("seeds", [2, 3, 5, 30])
def test_paired_test_agrees_with_scipy(seeds: int) -> None:
    rng = np.random.default_rng(seeds)
    ours, random = rng.normal(81, 2, seeds), rng.normal(80, 2, seeds)
    found = paired_test(dict(enumerate(ours)), {**dict(enumerate(random)), 99: 1.0})
    expected = oracle.ttest_rel(ours, random)
    assert found is not None
    assert found.p == pytest.approx(expected.pvalue, rel=1e-9)
    assert found.wins == (ours > random).sum()
    assert found.win_rate == np.mean(ours > random)


@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_p_floor_is_the_smallest_p_of_all_sign_flips(seeds: int) -> None:
    ours = np.arange(1.0, seeds + 1)
    flips = oracle.permutation_test((ours, np.zeros(seeds)), lambda a, b: np.mean(a - b), permutation_type="samples")
    found = paired_test(dict(enumerate(ours)), dict.fromkeys(range(seeds), 0.0))
    assert found is not None
    assert found.p_floor == pytest.approx(flips.pvalue)


def test_float32_quotients_of_equal_counts_tie_and_one_image_of_a_million_does_not() -> None:
    counts = np.random.default_rng(0).integers(1, 1_000_000, 500)
    exact = counts / 1_000_000 * 100
    single = (counts / 1_000_000).astype(np.float32).astype(float) * 100
    found = paired_test(dict(enumerate(single)), dict(enumerate(exact)))
    assert found is not None
    assert (found.wins, found.ties, found.p) == (0, 500, None)
    np.testing.assert_array_equal(ranks(np.stack([single, exact], axis=1)), 1.5)
    more = (counts + 1) / 1_000_000 * 100
    found = paired_test(dict(enumerate(more)), dict(enumerate(single)))
    assert found is not None
    assert (found.wins, found.ties) == (500, 0)
    np.testing.assert_array_equal(ranks(np.stack([more, single], axis=1))[:, 0], 1)


@pytest.mark.parametrize(("ours", "ties", "win_rate"), [([0.1, 0.2, 0.3], 0, 1.0), ([0.0, 0.1, 0.2], 3, 0.5)])
def test_equal_differences_have_neither_p_value_nor_interval(ours: list[float], ties: int, win_rate: float) -> None:
    random = [0.0, 0.1, 0.2]
    found = paired_test(dict(enumerate(ours)), dict(enumerate(random)))
    assert found is not None
    assert (found.p, found.difference.ci_low, found.difference.ci_high) == (None, None, None)
    assert (found.ties, found.win_rate) == (ties, win_rate)


def test_one_pair_has_no_p_value_and_none_no_test() -> None:
    found = paired_test({0: 2.0}, {0: 1.0, 1: 5.0})
    assert found is not None
    assert (found.p, found.p_floor, found.wins) == (None, 1.0, 1)
    assert paired_test({0: 2.0}, {1: 5.0}) is None


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


def interval_by_hand(values: np.ndarray, level: float) -> list[tuple[int, int]]:
    """Lowest and highest rank by pairs, the variance from an analysis of variance by least squares."""
    methods, seeds = values.shape
    design = np.array(
        [[*np.eye(methods)[m], *np.eye(seeds)[s][1:]] for m in range(methods) for s in range(seeds)], dtype=float
    )
    _, (squares,), _, _ = np.linalg.lstsq(design, values.ravel(), rcond=None)
    freedom = methods * seeds - methods - seeds + 1
    error = math.sqrt(2 * squares / freedom / seeds)
    least = oracle.t.ppf(1 - (1 - level) / 2 / (methods - 1), freedom) * error
    found = []
    for mine in values.mean(1):
        others = [float(other) for other in values.mean(1)]
        found.append((1 + sum(o - mine > least for o in others), methods - sum(mine - o > least for o in others)))
    return found


@pytest.mark.parametrize("seeds", [2, 3, 5])
@pytest.mark.parametrize("level", [0.8, 0.95])
def test_rank_intervals_agree_with_pairwise_tests_written_as_loops(seeds: int, level: float) -> None:
    rng = np.random.default_rng(seeds)
    columns = [rng.normal(np.arange(5)[:, None] * spread, 1.0, (5, seeds)) for spread in (0.0, 1.0, 3.0, 20.0)]
    weights = [0.1, 0.2, 0.3, 0.4]
    found = rank_intervals(columns, weights, level=level)
    ends = np.tensordot(weights, [interval_by_hand(column, level) for column in columns], axes=1)
    places = np.tensordot(weights, [oracle.rankdata(-column.mean(1)) for column in columns], axes=1)
    np.testing.assert_allclose([entry.rank for entry in found], places)
    np.testing.assert_allclose([(entry.low, entry.high) for entry in found], ends)
    assert all(1 <= entry.low <= entry.rank <= entry.high <= 5 for entry in found)
    assert len({entry.high - entry.low for entry in found}) > 1, "or the test would not tell them apart"


def test_rank_intervals_do_not_depend_on_what_a_seed_does_to_all_methods() -> None:
    values = np.random.default_rng(0).normal(np.arange(4)[:, None], 1.0, (4, 3))
    assert rank_intervals([values + np.array([0.0, 50.0, -20.0])], [1.0]) == rank_intervals([values], [1.0])


@pytest.mark.parametrize(
    ("values", "ends"),
    [
        ([[80.0], [10.0], [10.0]], [(1, 3)] * 3),  # one seed tells nothing
        ([[80.0, 81.0]], [(1, 1)]),  # one method has no rival
        ([[80.0, 81.0]] * 2, [(1, 2)] * 2),  # equal ones may be either
        ([[80.0, 81.0], [70.0, 71.0]], [(1, 1), (2, 2)]),  # a difference that is the same at every seed
        ([[80.0, 81.0], [80.0 + 3e-6, 81.0 - 3e-6]], [(1, 2)] * 2),  # float32 quotients of equal counts
    ],
)
def test_rank_intervals_of_few_values(values: list[list[float]], ends: list[tuple[int, int]]) -> None:
    assert [(entry.low, entry.high) for entry in rank_intervals([values], [1.0])] == ends


def test_jaccard_against_sets_and_chance() -> None:
    rng = np.random.default_rng(0)
    drawn = [np.sort(rng.choice(2000, 600, replace=False)) for _ in range(8)]
    found = [jaccard(one, other) for one in drawn for other in drawn]
    by_hand = [len({*a.tolist()} & {*b.tolist()}) / len({*a.tolist()} | {*b.tolist()}) for a in drawn for b in drawn]
    assert found == by_hand
    apart = [value for number, value in enumerate(found) if number % 9]
    assert np.mean(apart) == pytest.approx(chance_jaccard(600, 2000), abs=0.01)
    assert chance_jaccard(600, 2000) == pytest.approx(0.3 / 1.7)


def test_kendall_by_counting_pairs_with_ties() -> None:
    rng = np.random.default_rng(0)
    one, other = rng.integers(0, 6, 60).astype(float), rng.integers(0, 6, 60).astype(float)
    first = np.sign(one[:, None] - one)[np.triu_indices(60, 1)]
    second = np.sign(other[:, None] - other)[np.triu_indices(60, 1)]
    expected = (first * second).sum() / math.sqrt((first != 0).sum() * (second != 0).sum())
    assert kendall(one, other) == pytest.approx(expected, abs=1e-12)
    assert kendall(one, -one) == pytest.approx(-1)
    assert kendall(one, np.ones(60)) is None
