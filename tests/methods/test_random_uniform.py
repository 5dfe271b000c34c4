"""Uniform random choice: every image equally often."""

from __future__ import annotations

import numpy as np

from bench.methods.random_uniform import uniform


def test_uniform_draws_every_image_equally_often() -> None:
    drawn = np.concatenate([uniform(10, 3, np.random.default_rng(seed)) for seed in range(4000)])
    np.testing.assert_allclose(np.bincount(drawn, minlength=10) / 4000, [0.3] * 10, atol=0.04)
