"""Dyn-Unc keeps what the network is least steady on."""

from __future__ import annotations

from bench.array_source import ArraySource
from tests.methods.cases import keeps_the_highest
from tests.narrowing import present


def test_the_highest_spread_of_the_confidence_is_kept(digits: ArraySource) -> None:
    assert keeps_the_highest("dynunc", digits, present(digits.dynamics_labels).dyn_unc)
