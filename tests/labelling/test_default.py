"""What ``default`` stands for."""

from __future__ import annotations

import pytest

from bench import SpecError
from bench.labelling.default import MOST, find_method


@pytest.mark.parametrize(
    ("given", "budget", "items", "method"),
    [
        ("default", 19, MOST, "facility-location"),
        ("default", 20, MOST, "kmeans-sampling"),
        ("default", 19, MOST + 1, "maxherding(subset=10000)"),
        (" default ", 20, 100, "kmeans-sampling"),
        ("typiclust(k=5)", 20, MOST + 1, "typiclust(k=5)"),
    ],
)
def test_by_labels_a_class_and_items(given: str, budget: int, items: int, method: str) -> None:
    assert str(find_method(given, budget=budget, classes=10, items=items)) == method


def test_what_is_no_call_is_refused() -> None:
    with pytest.raises(SpecError):
        find_method("typiclust(", budget=1, classes=2, items=3)
