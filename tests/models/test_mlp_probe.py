"""A hidden layer learns what a linear probe cannot."""

from __future__ import annotations

import numpy as np

from tests.models.networks import accuracy


def test_a_hidden_layer_learns_what_a_linear_one_cannot() -> None:
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(1500, 2)).astype(np.float32)
    quadrants = ((inputs[:, 0] > 0) ^ (inputs[:, 1] > 0)).astype(np.int64)
    # No line through the plane is right of more than three quadrants.
    assert accuracy("linear_probe", (inputs, quadrants))[0].accuracy < 75
    assert accuracy("mlp_probe", (inputs, quadrants), iterations=300)[0].accuracy > 90
