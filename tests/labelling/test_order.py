"""The order of a choice: its first items cover all items as well as they can."""

from __future__ import annotations

import numpy as np
import pytest

from bench import unit_rows
from bench.labelling.order import by_complement
from tests.labelling.cases import coverage

ROWS = np.random.default_rng(0).normal(size=(80, 3)).astype(np.float32)
PICKS = np.arange(0, 60, 4)
NOBODY = np.empty(0, dtype=np.int64)


def covered(taken: list[int]) -> float:
    rows = unit_rows(ROWS).astype(np.float64)
    apart = ((rows[:, None] - rows[taken][None]) ** 2).sum(2)
    return float(np.exp(-apart).max(1).sum()) if taken else 0.0


def test_every_item_is_the_one_that_covers_most_beside_those_before_it() -> None:
    order = by_complement(ROWS, PICKS, NOBODY, np.random.default_rng(0)).tolist()
    assert sorted(order) == PICKS.tolist()
    for place in range(len(order)):
        gains = {pick: covered([*order[:place], pick]) for pick in order[place:]}
        assert gains[order[place]] >= max(gains.values()) - 1e-5


def test_what_is_labelled_counts_as_taken() -> None:
    best = by_complement(ROWS, PICKS, NOBODY, np.random.default_rng(0))[0]
    later = by_complement(ROWS, PICKS, np.array([best]), np.random.default_rng(0)).tolist()
    assert later[0] != best
    assert later[-1] == best, "it adds nothing any more"


def test_no_choice_has_an_order() -> None:
    assert by_complement(ROWS, NOBODY, NOBODY, np.random.default_rng(0)).tolist() == []


@pytest.mark.parametrize("seed", range(10))
def test_the_next_item_is_the_one_that_covers_most_beside_those_before(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = unit_rows(rng.normal(size=(40, 5)))
    picks, labelled = np.arange(0, 24), np.arange(30, 33)
    order = by_complement(rows, picks, labelled, rng)
    assert sorted(order.tolist()) == picks.tolist()
    taken = labelled.tolist()
    for item in order[:8]:
        gains = {int(other): coverage(rows, np.array([*taken, other])) for other in picks if other not in taken}
        assert gains[int(item)] >= max(gains.values()) - 1e-4
        taken.append(int(item))
