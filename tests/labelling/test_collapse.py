"""Signs that a choice is much less varied than what it was chosen from."""

from __future__ import annotations

import numpy as np
import pytest

from bench.labelling.choose import rough_clusters
from bench.labelling.collapse import collapse, copies, empty_rows


@pytest.mark.parametrize(
    ("clusters", "classes", "said"),
    [
        (list(range(10)) * 2, 10, []),
        ([0] * 9, 10, []),  # a small choice
        ([0, 1, 2, 3, 4] * 4, 10, ["the choice comes from only 5 of 10 clusters"]),
        ([0, 1, 2, 3, 4, 5] * 4, 10, []),
        ([7] * 10 + list(range(10)), 10, ["11 of the 20 chosen items are in one cluster (7)"]),
        ([0] * 10 + [1] * 10, 2, []),  # half of it each, which is fair
        ([3] * 20, 10, ["the choice comes from only 1 of 10", "20 of the 20 chosen items are in one cluster (3)"]),
    ],
)
def test_few_clusters_or_one_with_half_of_the_choice(clusters: list[int], classes: int, said: list[str]) -> None:
    found = collapse(np.array(clusters), classes)
    assert len(found) == len(said)
    for line, beginning in zip(found, said, strict=True):
        assert line.startswith(beginning)
        assert line.endswith("try another --method or --encoder, and look at the page before you label.")


@pytest.mark.parametrize(
    ("labelled", "said"),
    [
        ([5, 6, 7, 8, 9], []),  # the choice complements them
        ([0, 1, 1, 2], ["the choice and what is labelled come from only 5 of 10 clusters"]),
        ([], ["the choice comes from only 5 of 10 clusters"]),
    ],
)
def test_clusters_that_are_labelled_are_not_missed(labelled: list[int], said: list[str]) -> None:
    found = collapse(np.array([0, 1, 2, 3, 4] * 4), 10, np.array(labelled, dtype=np.int64))
    assert [line[: len(beginning)] for line, beginning in zip(found, said, strict=True)] == said


def test_the_cluster_that_lacked_labels_may_have_half_of_the_choice() -> None:
    varied = np.repeat(np.arange(10), 10)
    assert collapse(np.full(10, 3), 10, varied[varied != 3]) == []
    [said] = collapse(np.full(20, 3), 10, varied)
    assert said.startswith("20 of the 20 chosen items are in one cluster (3)")


def test_a_choice_has_no_more_clusters_than_items_besides_those_labelled() -> None:
    assert collapse(np.arange(10), 100, np.zeros(500, dtype=np.int64)) == []


@pytest.mark.parametrize("classes", [10, 200])
def test_rough_clusters_tell_a_collapse_from_a_varied_choice(classes: int) -> None:
    rng = np.random.default_rng(0)
    true = np.repeat(np.arange(classes), 12)
    rows = rng.normal(size=(classes, 32))[true] + 0.3 * rng.normal(size=(len(true), 32))
    clusters = rough_clusters(rows.astype(np.float32), classes, rng)
    assert not collapse(clusters[rng.permutation(len(true))[: 3 * classes]], classes)
    assert collapse(clusters[true < classes // 4], classes)


@pytest.mark.parametrize(
    ("clusters", "classes", "found"),
    [
        (np.arange(20) % 10, 10, []),
        (np.arange(20) % 2, 10, ["comes from only 2 of 10", "10 of the 20"]),
        (np.append(np.zeros(10, int), np.arange(1, 11) % 10), 10, ["11 of the 20 chosen items are in one cluster (0)"]),
        (np.arange(20) % 2, 2, []),
        (np.zeros(9, int), 10, []),
        (np.arange(3) % 3, 100, []),
    ],
)
def test_a_collapse_is_told(clusters: np.ndarray, classes: int, found: list[str]) -> None:
    told = collapse(clusters, classes)
    assert len(told) == len(found)
    assert all(part in text and "--method" in text for part, text in zip(found, told, strict=True))


def test_embeddings_of_zeros_are_said() -> None:
    rows = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)
    assert empty_rows(rows) == []
    rows[7], rows[40] = 0, -0.0
    [said] = empty_rows(rows)
    assert said.startswith("2 of 60 embeddings are all zeros, the first in line 7 ")


@pytest.mark.parametrize(
    ("chosen", "labelled", "said"),
    [
        ("abcd", "", ""),
        ("aab", "", "1 of the 3 chosen items is an exact copy of another chosen or labelled item; leave"),
        ("aaab", "", "2 of the 4 chosen items are exact copies of other chosen or labelled items; leave"),
        ("ab", "ca", "1 of the 2 chosen items is"),
        ("aa", "a", "2 of the 2 chosen items are"),
        ("ab", "cc", ""),
    ],
)
def test_copies_among_what_is_chosen_and_labelled_are_said(chosen: str, labelled: str, said: str) -> None:
    assert [line[: len(said)] for line in copies(chosen, labelled)] == ([said] if said else [])
