"""EL2N keeps what the network is furthest from."""

from __future__ import annotations

from bench.array_source import ArraySource
from tests.methods.cases import keeps_the_highest
from tests.narrowing import present


def test_the_highest_el2n_is_kept(digits: ArraySource) -> None:
    assert keeps_the_highest("el2n", digits, present(digits.dynamics_labels).el2n)
