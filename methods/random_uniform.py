"""Random selection, the baseline that uses no information."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench import Pool, register_method


def uniform(size: int, budget: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw ``budget`` of ``size`` images uniformly, without replacement.

    Returns:
        int64 [n], unique.
    """
    return rng.choice(size, budget, replace=False)


@register_method("random", supervision="none", stochastic=True)
def random(pool: Pool, budget: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw images uniformly at random, without replacement.

    Args:
        pool: only its size is used.
        budget: n, images to keep.
        rng: makes the draw.

    Returns:
        int64 [n], unique.
    """
    return uniform(len(pool), budget, rng)
