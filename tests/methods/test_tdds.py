"""TDDS keeps what changes most, by either trajectory."""

from __future__ import annotations

import pytest

from bench.array_source import ArraySource
from tests.methods.cases import keeps_the_highest
from tests.narrowing import present


@pytest.mark.parametrize(("trajectory", "field"), [("long", "tdds"), ("short", "tdds_early")])
def test_the_highest_score_of_the_trajectory_is_kept(digits: ArraySource, trajectory: str, field: str) -> None:
    scores = getattr(present(digits.dynamics_labels), field)
    assert keeps_the_highest("tdds", digits, scores, trajectory=trajectory)
