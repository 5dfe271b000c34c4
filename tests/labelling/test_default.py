"""What ``default`` stands for."""

from __future__ import annotations

import pytest

from bench import SpecError
from bench.labelling.default import MOST, find_method


@pytest.mark.parametrize(
    ("given", "items", "method"),
    [
        ("default", MOST, "kmeans-sampling"),
        ("default", MOST + 1, "maxherding(subset=10000)"),
        (" default ", 100, "kmeans-sampling"),
        ("typiclust(k=5)", MOST + 1, "typiclust(k=5)"),
    ],
)
def test_by_the_number_of_items(given: str, items: int, method: str) -> None:
    assert str(find_method(given, items=items)) == method


def test_what_is_no_call_is_refused() -> None:
    with pytest.raises(SpecError):
        find_method("typiclust(", items=3)
