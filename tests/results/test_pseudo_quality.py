from __future__ import annotations

import subprocess
import sys
from itertools import combinations, permutations
from math import log
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.errors import DataError
from bench.results.pseudo_quality import pseudo_label_quality

PAIRS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3)), min_size=2, max_size=30)


def matched_by_trying_all(clusters: list[int], classes: list[int]) -> float:
    """Every way to give each class a cluster of its own; numbers that do not occur stand for no cluster."""
    ways = permutations(range(max(5, max(classes) + 1)), max(classes) + 1)
    return max(sum(way[label] == cluster for cluster, label in zip(clusters, classes, strict=True)) for way in ways)


def rand_index(clusters: list[int], classes: list[int]) -> float:
    """Adjusted Rand index from all pairs of images."""
    together = [(clusters[i] == clusters[j], classes[i] == classes[j]) for i, j in combinations(range(len(classes)), 2)]
    both = sum(one and two for one, two in together)
    one, two = (sum(column) for column in zip(*together, strict=True))
    expected, most = one * two / len(together), (one + two) / 2
    return 1.0 if most == expected else (both - expected) / (most - expected)


def mutual_information(clusters: list[int], classes: list[int]) -> float:
    """NMI from counted shares."""

    def shares(values: list[Any]) -> dict[Any, float]:
        return {value: values.count(value) / len(values) for value in set(values)}

    one, two, both = shares(clusters), shares(classes), shares(list(zip(clusters, classes, strict=True)))
    entropies = [-sum(p * log(p) for p in part.values()) for part in (one, two)]
    if not any(entropies):
        return 1.0
    shared = sum(p * log(p / one[cluster] / two[label]) for (cluster, label), p in both.items())
    return 2 * shared / sum(entropies)


@settings(deadline=None)  # the first example imports scikit-learn
@given(PAIRS)
def test_measures_against_their_definitions(pairs: list[tuple[int, int]]) -> None:
    clusters, classes = (list(column) for column in zip(*pairs, strict=True))
    found = pseudo_label_quality(np.array(clusters), np.array(classes))
    assert found.accuracy == pytest.approx(100 * matched_by_trying_all(clusters, classes) / len(pairs))
    assert found.nmi == pytest.approx(mutual_information(clusters, classes), abs=1e-9)
    assert found.ari == pytest.approx(rand_index(clusters, classes), abs=1e-9)
    assert found.clusters == len(set(clusters))


def test_names_of_clusters_do_not_matter_and_surplus_clusters_count_as_wrong() -> None:
    labels = np.repeat([0, 1, 2], 4)
    renamed = pseudo_label_quality(np.array([7, 0, 3])[labels], labels)
    assert (renamed.accuracy, renamed.nmi, renamed.ari) == pytest.approx((100, 1, 1))
    halves = pseudo_label_quality(np.arange(12) // 2, labels)
    assert (halves.accuracy, halves.clusters) == (50, 6)


@pytest.mark.parametrize(("one", "two"), [([], []), ([0, 1], [0])])
def test_arrays_that_do_not_match_are_refused(one: list[int], two: list[int]) -> None:
    with pytest.raises(DataError, match="cannot be compared"):
        pseudo_label_quality(np.array(one), np.array(two))


@pytest.mark.integration
def test_needs_no_torch() -> None:
    code = (
        "import sys, numpy as np; from bench.results.pseudo_quality import pseudo_label_quality as quality; "
        "quality(np.array([0, 1]), np.array([0, 1])); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
