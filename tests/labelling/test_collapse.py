"""Signs that a choice is much less varied than what it was chosen from."""

from __future__ import annotations

import numpy as np
import pytest

from bench.labelling.collapse import collapse


@pytest.mark.parametrize(
    ("clusters", "classes", "said"),
    [
        (list(range(10)) * 2, 10, []),
        ([0] * 9, 10, []),  # a small choice
        ([0, 1, 2, 3, 4] * 4, 10, ["the choice comes from 5 of the 10 clusters"]),
        ([0, 1, 2, 3, 4, 5] * 4, 10, []),
        ([7] * 10 + list(range(10)), 10, ["11 of the 20 chosen items are of one cluster (7)"]),
        ([0] * 10 + [1] * 10, 2, []),  # half of it each, which is fair
        ([3] * 20, 10, ["the choice comes from 1 of the 10", "20 of the 20 chosen items are of one cluster (3)"]),
    ],
)
def test_few_clusters_or_one_with_half_of_the_choice(clusters: list[int], classes: int, said: list[str]) -> None:
    found = collapse(np.array(clusters), classes)
    assert len(found) == len(said)
    for line, beginning in zip(found, said, strict=True):
        assert line.startswith(beginning)
        assert line.endswith("try another --method or --encoder, and look at the page before you label.")
