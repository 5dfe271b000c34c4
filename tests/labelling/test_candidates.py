"""Which items may be chosen: copies of labelled ones, and groups."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import bench
from bench.labelling.candidates import Limits, check_limits, find_candidates, limits_of
from tests.labelling.cases import digits
from tests.narrowing import present


def test_near_duplicates_of_what_is_labelled_are_left_out() -> None:
    rows = digits(50)
    twice = np.concatenate([rows, rows[:10]])
    labelled = np.arange(50, 60)
    found = find_candidates(twice, Limits(labelled=labelled, similarity=0.99999), np.random.default_rng(0))
    assert found.positions.tolist() == list(range(10, 50))
    assert found.duplicates.tolist() == list(range(10))


@pytest.mark.parametrize(
    "groups",
    [
        [0.0, 0.0, 1.0, np.nan, np.nan, np.nan],
        ["b", "b", "a", None, None, None],
        ["b", "b", "a", "", "", ""],
        [1, 1, "a", None, float("nan"), ""],
        np.array(["2026-01-01", "2026-01-01", "2026-01-02", "NaT", "NaT", "NaT"], dtype="datetime64[ns]"),
    ],
)
def test_items_without_a_group_are_groups_of_their_own(groups: Any) -> None:
    found = limits_of(6, None, None, groups, 1).groups
    assert found is not None
    assert found[0] == found[1]
    assert len(set(found.tolist())) == 5
    assert present(limits_of(3, None, None, ["b", "a", "b"], 1).groups).tolist() == [0, 1, 0]


@pytest.mark.parametrize(
    ("positions", "said"),
    [
        ([0, 12], "got 12."),
        ([-1, 3], "got -1."),
        ([1.5], "got float64 of shape (1,)."),
        (["a.jpg"], "got <U5 of shape (1,)."),
        ([[0, 1]], "got int64 of shape (1, 2)."),
        (np.arange(12) > 9, "got bool of shape (12,). It looks like a mask: give np.flatnonzero(mask)."),
    ],
)
def test_what_are_no_positions_is_shown(positions: Any, said: str) -> None:
    with pytest.raises(bench.SpecError) as caught:
        limits_of(12, positions, None, None, 1)
    assert str(caught.value) == f"labelled must be positions of items, whole numbers from 0 to 11; {said}"


def test_groups_that_cannot_be_told_apart_are_refused() -> None:
    groups = np.array([{}, {}, {}], dtype=object)
    with pytest.raises(bench.SpecError, match="groups holds values that cannot be compared"):
        limits_of(3, None, None, groups, 1)


def test_a_budget_beyond_the_groups_is_refused_before_anything_is_embedded() -> None:
    limits = limits_of(12, [0, 1], [11], np.repeat([0, 1, 2, 3], 3), 2)
    check_limits(limits, budget=6, items=12)  # none of the first group, two of each other
    with pytest.raises(bench.SpecError, match="of 12 items 3 are more than --per-group 2 of their group, and 6 are"):
        check_limits(limits, budget=7, items=12)
    check_limits(limits_of(12, None, None, np.repeat([0, 1, 2, 3], 3), "all"), budget=12, items=12)
    whole = limits_of(12, [0], None, np.repeat([0, 1, 2, 3], 3), "all")
    check_limits(whole, budget=2, items=12)  # the rest of the first group
    with pytest.raises(bench.SpecError, match="budget 2 is not valid: the smallest of 4 groups has 3 items"):
        check_limits(replace(whole, labelled=np.empty(0, dtype=np.int64)), budget=2, items=12)
    with pytest.raises(bench.SpecError, match="of 12 items 9 are labelled or excluded; the items form only 1 group"):
        check_limits(replace(whole, excluded=np.arange(9)), budget=2, items=12)
