"""Every registered method, through the public suite (``bench.conformance``)."""

from __future__ import annotations

from bench.conformance import conformance_tests
from bench.plugins import methods

test_conformance = conformance_tests()


def test_methods_of_the_issue_are_there() -> None:
    wanted = {"full", "random", "random-balanced", "prototypicality", "aum", "forgetting", "el2n", "ccs", "d2", "elfs"}
    assert wanted <= {entry.name for entry in methods}
