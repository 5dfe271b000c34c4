"""Dynamics: images that were never learned, and the way to the store and back."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest

from bench.conformance.samples import digits
from bench.dynamics import Dynamics
from tests.narrowing import present


@pytest.fixture(scope="module")
def dynamics() -> Dynamics:
    """Those of a network trained on 300 digits."""
    return present(digits().source.dynamics_labels)


def test_never_learned_images_lie_one_above_the_highest_count(dynamics: Dynamics) -> None:
    # One of them at the number of epochs would fill D2's sums and leave CCS' strata of equal width empty.
    counts = np.array([0, 3, 0, 5, 0, 1], dtype=np.int32)
    learned = np.array([True, True, False, True, False, True])
    some = replace(dynamics, forgetting=counts, learned=learned, epochs=200)
    assert some.difficulty("forgetting").tolist() == [0, 3, 6, 5, 6, 1]
    assert some.difficulty("forgetting", never_learned="zero").tolist() == counts.tolist()
    none = replace(some, forgetting=0 * counts, learned=np.zeros(6, dtype=bool))
    assert none.difficulty("forgetting").tolist() == [1] * 6


def test_every_field_survives_storage(dynamics: Dynamics) -> None:
    again = Dynamics.from_arrays(dynamics.arrays())
    for item in fields(Dynamics):
        np.testing.assert_array_equal(getattr(again, item.name), getattr(dynamics, item.name), err_msg=item.name)
    assert isinstance(again.epochs, int)


def test_dynamics_without_the_newer_scores_are_not_read_as_if_they_had_them(dynamics: Dynamics) -> None:
    stored = dynamics.arrays()
    del stored["tdds"]
    with pytest.raises(TypeError, match="tdds"):
        Dynamics.from_arrays(stored)
