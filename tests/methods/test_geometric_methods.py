"""k-center, herding, moderate, facility location and graph cut against slow loops, and on digits."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from bench import SelectionError, SpecError, unit_rows
from bench.array_source import ArraySource, brute_force_neighbors
from bench.methods._groups import proportional_quotas
from bench.methods.facility_location import cosine_similarity, lazy_greedy
from bench.methods.graph_cut import greedy_cut
from bench.methods.herding import follow_mean
from bench.methods.kcenter import farthest_first, in_blocks, one_by_one
from bench.methods.moderate import distance_from_median
from bench.plugins import methods
from bench.selection import method_pool, run_method

Case = tuple[Any, ...]


def run(name: str, source: ArraySource, budget: int, seed: int = 0, **params: Any) -> np.ndarray:
    entry = methods.get(name)
    size = len(source.labels())
    pool = method_pool(entry, params, source, size=size, num_classes=10, rate=0.5)
    return run_method(entry, pool, params, budget, seed)


@st.composite
def point_sets(draw: st.DrawFn, most: int = 9) -> Case:
    size = draw(st.integers(1, most))
    points = [[float(draw(st.integers(-4, 4))) for _ in range(2)] for _ in range(size)]
    return np.array(points), draw(st.integers(0, size))


# k-center


def radius(points: np.ndarray, centres: Sequence[int]) -> float:
    return max(min(math.dist(point, points[c]) for c in centres) for point in points)


@settings(max_examples=200)
@given(point_sets())
def test_every_centre_is_the_farthest_with_ties_by_index(case: Case) -> None:
    points, budget = case  # whole numbers, so that the expanded form of the distance is exact
    by_hand = [0][:budget]
    while len(by_hand) < budget:
        left = [i for i in range(len(points)) if i not in by_hand]
        by_hand.append(max(left, key=lambda i: (min(math.dist(points[i], points[c]) for c in by_hand), -i)))
    assert farthest_first(points, budget).tolist() == by_hand


@settings(max_examples=50, deadline=None)
@given(point_sets(most=7))
def test_the_radius_is_at_most_twice_the_best(case: Case) -> None:
    points, budget = case
    if budget:
        best = min(radius(points, centres) for centres in itertools.combinations(range(len(points)), budget))
        assert radius(points, farthest_first(points, budget)) <= 2 * best + 1e-9


def wide_rows(kind: str, seed: int) -> np.ndarray:
    """900 rows of 160 features: alike in all directions, in groups, near-duplicates, copies, or whole numbers."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(900, 160))
    if kind == "groups":
        rows += 2 * rng.normal(size=(30, 160))[rng.integers(0, 30, 900)]
    if kind == "near-duplicates":
        rows = rows[rng.integers(0, 200, 900)] + 1e-5 * rows
    if kind == "copies":
        rows = rows[rng.integers(0, 200, 900)]
    return rng.integers(-3, 4, (900, 160)).astype(float) if kind == "whole" else unit_rows(rows)


@pytest.mark.parametrize("kind", ["alike", "groups", "near-duplicates", "copies", "whole"])
@pytest.mark.parametrize("seed", range(2))
def test_blocks_pick_what_one_by_one_picks(kind: str, seed: int) -> None:
    rows = wide_rows(kind, seed)
    plain, fast = np.zeros((2, 450), dtype=np.int64)
    one_by_one(rows, plain, 1)
    done = in_blocks(rows, fast, 1)
    assert done >= 150  # as many as differ by more than float32 tells
    assert done == 450 or kind in ("near-duplicates", "copies")
    assert fast[:done].tolist() == plain[:done].tolist()
    picks, exact = farthest_first(rows, 450), rows.astype(np.float64)
    nearest = np.full(len(rows), np.inf)
    for pick in picks:
        assert nearest[pick] >= nearest.max() - 1e-13
        nearest = np.minimum(nearest, ((exact - exact[pick]) ** 2).sum(1))
        nearest[pick] = -1


def test_copies_and_near_duplicates_go_by_index_and_distance_not_by_rounding() -> None:
    rng = np.random.default_rng(0)
    rows = unit_rows(np.repeat(rng.normal(size=(40, 200)), 25, axis=0))
    kept = farthest_first(rows, 1000)
    assert len(set(kept[:40] // 25)) == 40
    assert kept[40:].tolist() == sorted(kept[40:])
    close = rows.astype(np.float64)[:2].copy()
    close[1, 0] += 1e-5
    assert farthest_first(np.concatenate([close[:1], rows[:1], close[1:]]), 2).tolist() == [0, 2]


def test_kcenter_covers_the_digits_better_than_chance(digits: ArraySource) -> None:
    rows = unit_rows(digits.embeddings())

    def reach(kept: np.ndarray) -> float:
        return np.sqrt(np.maximum(2 - 2 * rows @ rows[kept].T, 0)).min(1).max()

    chance = [reach(np.random.default_rng(seed).choice(1797, 180, replace=False)) for seed in range(5)]
    assert reach(run("kcenter", digits, 180)) < 0.8 * min(chance)


# herding


@settings(max_examples=200)
@given(point_sets())
def test_each_pick_brings_the_mean_nearest(case: Case) -> None:
    points, budget = case
    norms = np.linalg.norm(points, axis=1, keepdims=True)
    rows = np.where(norms == 0, [[1.0, 0.0]], points / np.where(norms == 0, 1, norms))
    picks = follow_mean(rows, budget).tolist()
    assert len(set(picks)) == budget
    mean = rows.sum(0) / len(rows)
    for step, pick in enumerate(picks):
        left = [i for i in range(len(rows)) if i not in picks[:step]]
        gaps = {i: math.dist(mean, sum(rows[j] for j in [*picks[:step], i]) / (step + 1)) for i in left}
        assert gaps[pick] == pytest.approx(min(gaps.values()), abs=1e-7)


def test_herding_matches_the_mean_of_the_digits(digits: ArraySource) -> None:
    rows = unit_rows(digits.embeddings())

    def gap(kept: np.ndarray) -> float:
        return float(np.linalg.norm(rows[kept].mean(0) - rows.mean(0)))

    chance = [gap(np.random.default_rng(seed).choice(1797, 90, replace=False)) for seed in range(5)]
    assert gap(run("herding", digits, 90)) < 0.2 * min(chance)


def test_herding_by_clusters_matches_the_mean_of_every_class_better(digits: ArraySource) -> None:
    rows, labels = unit_rows(digits.embeddings()), digits.labels()

    def gap(kept: np.ndarray) -> float:
        means = [np.linalg.norm(rows[kept][labels[kept] == c].mean(0) - rows[labels == c].mean(0)) for c in range(10)]
        return np.mean(means)

    chance = [gap(np.random.default_rng(seed).choice(1797, 180, replace=False)) for seed in range(5)]
    assert gap(run("herding", digits, 180, clusters=10)) < 0.7 * min(chance)


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


# moderate


@settings(max_examples=200)
@given(point_sets(), st.data(), st.sampled_from(["mean", "median"]), st.sampled_from(["class", "pool"]))
def test_distance_from_the_median_by_hand(case: Case, data: st.DataObject, centre: str, scope: str) -> None:
    points, _ = case
    labels = np.array([data.draw(st.integers(0, 2)) for _ in points])
    middles: dict[str, Callable[[list[float]], Any]] = {"mean": np.mean, "median": np.median}
    middle = middles[centre]
    apart = []
    for point, label in zip(points, labels, strict=True):
        mine = [p for p, other in zip(points, labels, strict=True) if other == label]
        apart.append(math.dist(point, [middle([p[d] for p in mine]) for d in range(2)]))
    expected = []
    for own, label in zip(apart, labels, strict=True):
        shared = [d for d, other in zip(apart, labels, strict=True) if scope == "pool" or other == label]
        expected.append(abs(own - np.median(shared)))
    np.testing.assert_allclose(distance_from_median(points, labels, centre=centre, scope=scope), expected, atol=1e-9)


def test_moderate_is_not_inverted(digits: ArraySource) -> None:
    # Distances of one class: the released copy in D2's code keeps both ends, the method keeps the middle.
    embeddings, labels = digits.embeddings().astype(np.float64), digits.labels()
    kept = run("moderate", digits, 540)
    for number in range(10):
        members = np.flatnonzero(labels == number)
        apart = np.linalg.norm(embeddings[members] - embeddings[members].mean(0), axis=1)
        middle, inside = np.median(apart), np.isin(members, kept)
        assert np.abs(apart[inside] - middle).max() < np.abs(apart[~inside] - middle).max()
        assert apart.min() < apart[inside].min()
        assert apart[inside].max() < apart.max()
    assert np.isin(run("moderate", digits, 200), kept).all()


def test_moderate_as_released_is_a_named_option(digits: ArraySource) -> None:
    released = run("moderate", digits, 300, variant="released-code")
    assert np.array_equal(released, run("moderate", digits, 300, centre="median", scope="pool"))
    assert not np.array_equal(released, run("moderate", digits, 300))


@pytest.mark.parametrize(
    ("other", "named"), [({"centre": "median"}, "centre=median"), ({"scope": "pool"}, "scope=pool")]
)
def test_moderate_as_released_takes_no_other_choice_beside_it(other: dict[str, str], named: str) -> None:
    check, resolve = methods.get("moderate").info.check, methods.get("moderate").resolve
    check(resolve(other), 0.5)
    check(resolve({"variant": "released-code"}), 0.5)
    with pytest.raises(SpecError, match=f"scope=pool; {named} beside it is not valid"):
        check(resolve({"variant": "released-code", **other}), 0.5)


def test_moderate_with_the_released_codes_options_is_the_middle_of_the_ranking(digits: ArraySource) -> None:
    embeddings, labels = digits.embeddings().astype(np.float64), digits.labels()
    apart = np.empty(1797)
    for number in range(10):
        members = labels == number
        apart[members] = np.linalg.norm(embeddings[members] - np.median(embeddings[members], axis=0), axis=1)
    ranks = np.argsort(np.argsort(apart))[run("moderate", digits, 300, centre="median", scope="pool")]
    assert ranks.max() - ranks.min() == 299
    assert ranks.min() < 898 < ranks.max()


# facility location


@st.composite
def similarities(draw: st.DrawFn) -> Case:
    size = draw(st.integers(1, 8))
    dense = np.eye(size)
    for i, j in itertools.combinations(range(size), 2):
        dense[i, j] = dense[j, i] = draw(st.integers(0, 4)) / 4  # exact sums, so that ties are ties
    return dense, draw(st.integers(0, size))


def served(dense: np.ndarray, chosen: Sequence[int]) -> float:
    return sum(max((dense[j, i] for j in chosen), default=0.0) for i in range(len(dense)))


@settings(max_examples=200)
@given(similarities())
def test_lazy_greedy_is_greedy_with_ties_by_index(case: Case) -> None:
    dense, budget = case
    by_hand: list[int] = []
    while len(by_hand) < budget:
        left = [j for j in range(len(dense)) if j not in by_hand]
        by_hand.append(max(left, key=lambda j: (served(dense, [*by_hand, j]), -j)))
    assert lazy_greedy(csr_array(dense), budget).tolist() == by_hand


@settings(max_examples=50, deadline=None)
@given(similarities())
def test_greedy_reaches_its_guarantee(case: Case) -> None:
    dense, budget = case
    best = max(served(dense, chosen) for chosen in itertools.combinations(range(len(dense)), budget))
    assert served(dense, lazy_greedy(csr_array(dense), budget).tolist()) >= (1 - 1 / math.e) * best - 1e-9


def test_similarities_are_the_cosines_of_neighbours(some_digits: ArraySource) -> None:
    rows = unit_rows(some_digits.embeddings()).astype(np.float64)
    found = cosine_similarity(brute_force_neighbors(some_digits.embeddings(), 5)).toarray()
    listed = np.zeros_like(found, dtype=bool)
    np.put_along_axis(listed, brute_force_neighbors(some_digits.embeddings(), 5).indices, True, axis=1)
    listed |= listed.T | np.eye(len(rows), dtype=bool)
    np.testing.assert_allclose(found, np.where(listed, rows @ rows.T, 0), atol=1e-5)
    assert found.min() >= 0
    assert (found == found.T).all()


def test_facility_location_serves_the_digits_better_than_chance(digits: ArraySource) -> None:
    rows = unit_rows(digits.embeddings())

    def nearest(kept: np.ndarray) -> float:
        return (rows @ rows[kept].T).max(1).mean()

    chance = [nearest(np.random.default_rng(seed).choice(1797, 90, replace=False)) for seed in range(5)]
    kept = run("facility-location", digits, 90)
    assert 1 - nearest(kept) < 0.9 * (1 - max(chance))


@pytest.mark.parametrize("core", [farthest_first, follow_mean])
def test_a_budget_beyond_the_pool_is_refused(core: Callable[..., Any]) -> None:
    with pytest.raises(SelectionError, match="cannot keep 4 of 3 images"):
        core(np.eye(3), 4)


# graph cut


@settings(max_examples=200)
@given(point_sets(), st.sampled_from([0.0, 0.25, 0.5, 2.0]))
def test_graph_cut_is_greedy_by_its_definition(case: Case, redundancy: float) -> None:
    points, budget = case
    rows = points / 8  # whole numbers over a power of two, so that sums are exact and ties are ties

    def similarity(i: int, j: int) -> float:
        return (1 + float(rows[i] @ rows[j])) / 2

    def value(chosen: Sequence[int]) -> float:
        everything = sum(similarity(i, j) for i in range(len(rows)) for j in chosen)
        return everything - redundancy * sum(similarity(j, k) for j in chosen for k in chosen)

    by_hand: list[int] = []
    while len(by_hand) < budget:
        left = [i for i in range(len(rows)) if i not in by_hand]
        by_hand.append(max(left, key=lambda i: (value([*by_hand, i]), -i)))
    assert greedy_cut(rows, budget, redundancy).tolist() == by_hand


@pytest.mark.parametrize("redundancy", [0.25, 0.5])  # beyond, greedy has no guarantee
def test_graph_cut_is_better_by_its_own_measure_than_chance(digits: ArraySource, redundancy: float) -> None:
    rows = unit_rows(digits.embeddings())

    def value(kept: np.ndarray) -> float:
        return ((1 + rows @ rows[kept].T) / 2).sum() - redundancy * ((1 + rows[kept] @ rows[kept].T) / 2).sum()

    chance = [value(np.random.default_rng(seed).choice(1797, 90, replace=False)) for seed in range(10)]
    assert value(run("graph-cut", digits, 90, redundancy=redundancy)) > max(chance)


def test_graph_cut_without_its_penalty_keeps_the_most_typical(digits: ArraySource) -> None:
    rows = unit_rows(digits.embeddings())
    kept = run("graph-cut", digits, 90, redundancy=0.0)
    assert set(kept.tolist()) == set(np.argsort(-(rows @ rows.sum(0)))[:90].tolist())
