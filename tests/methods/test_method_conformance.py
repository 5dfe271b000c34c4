"""Every registered method, through the public suite (``bench.conformance``)."""

from __future__ import annotations

import pytest

from bench import SelectionError
from bench.array_source import ArraySource
from bench.conformance import conformance_tests
from bench.plugins import methods
from bench.selection import method_pool, run_method

test_conformance = conformance_tests()


def test_methods_of_the_issue_are_there() -> None:
    wanted = {"full", "random", "random-balanced", "prototypicality", "aum", "forgetting", "el2n", "ccs", "d2", "elfs"}
    assert wanted <= {entry.name for entry in methods}


def test_full_refuses_to_prune(some_digits: ArraySource) -> None:
    pool = method_pool(methods.get("full"), {}, some_digits, size=300, num_classes=10, rate=0.9)
    with pytest.raises(SelectionError, match="keeps the whole pool of 300 images, not 30"):
        run_method(methods.get("full"), pool, {}, 30, 0)
