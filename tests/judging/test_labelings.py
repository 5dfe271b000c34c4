"""Labelings of a pool by clusterings that no method's score rests on."""

from __future__ import annotations

import numpy as np
import pytest

from bench.conformance.samples import digits
from bench.judging.labelings import STARTS, cluster_numbers, make_labelings


@pytest.mark.parametrize(
    ("classes", "size", "numbers"),
    [(10, 300, [5, 10, 20]), (2, 300, [2, 4]), (3, 300, [2, 3, 6]), (10, 12, [5, 10, 12]), (100, 8, [8])],
)
def test_half_as_many_clusters_as_classes_as_many_and_twice_as_many(
    classes: int, size: int, numbers: list[int]
) -> None:
    assert cluster_numbers(classes, size) == numbers


def test_every_number_is_clustered_from_several_starts_that_differ() -> None:
    embeddings, told = digits().source.embeddings(), []
    found = make_labelings(embeddings, 10, seed=0, progress=lambda done, whole: told.append((done, whole)))
    assert found.shape == (3 * STARTS, 300)
    assert found.dtype == np.int64
    assert [len(np.unique(line)) for line in found] == [5] * STARTS + [10] * STARTS + [20] * STARTS
    assert len({line.tobytes() for line in found}) == len(found)
    assert told == [(number, 9) for number in range(1, 10)]
    assert np.array_equal(found, make_labelings(embeddings, 10, seed=0))
    assert not np.array_equal(found, make_labelings(embeddings, 10, seed=1))
