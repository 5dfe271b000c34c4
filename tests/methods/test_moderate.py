"""Moderate: distances from the median by hand, and both readings of the paper."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench import SpecError
from bench.array_source import ArraySource
from bench.methods.moderate import distance_from_median
from bench.plugins import methods
from tests.methods.cases import Case, point_sets, run


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
