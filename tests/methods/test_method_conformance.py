"""Every registered method, through the public suite (``bench.conformance``)."""

from __future__ import annotations

import pytest

from bench.conformance import conformance_tests
from bench.methods import zcore
from bench.plugins import methods

SLOW = ("auto", "d2", "d2-label-free", "elfs", "prototypicality", "unbiased-partition", "zcore")


@pytest.fixture(autouse=True)
def _fewer_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let ZCore draw 20 samples per image, as many as 50,000 images get: 500 take a second of each selection."""
    monkeypatch.setattr(zcore, "SAMPLES_PER_IMAGE", 20)


test_conformance = conformance_tests(*(entry.name for entry in methods if entry.name not in SLOW))
test_conformance_of_slow_methods = pytest.mark.integration(conformance_tests(*SLOW))


def test_methods_of_the_issue_are_there() -> None:
    wanted = {"full", "random", "random-balanced", "prototypicality", "aum", "forgetting", "el2n", "ccs", "d2", "elfs"}
    assert wanted <= {entry.name for entry in methods}
