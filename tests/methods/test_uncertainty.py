"""Least confidence, margin and entropy keep what the network is least sure of."""

from __future__ import annotations

import pytest

from bench.array_source import ArraySource
from tests.methods.cases import keeps_the_highest
from tests.narrowing import present


@pytest.mark.parametrize("epochs", ["last", "all"])
@pytest.mark.parametrize(
    ("name", "field", "sign"),
    [("least-confidence", "least_confidence", 1), ("margin", "margin", -1), ("entropy", "entropy", 1)],
)
def test_the_most_uncertain_are_kept(digits: ArraySource, name: str, field: str, sign: int, epochs: str) -> None:
    scores = getattr(present(digits.dynamics_labels), field if epochs == "last" else f"mean_{field}")
    assert keeps_the_highest(name, digits, sign * scores, epochs=epochs)
