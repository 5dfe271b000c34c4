"""Random selection, the baseline that uses nothing."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench import Pool, register_method


def uniform(size: int, budget: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw ``budget`` of ``size`` images uniformly without replacement.

    Returns:
        int64 [n], unique.
    """
    return rng.choice(size, budget, replace=False)


@register_method("random", supervision="none", stochastic=True)
def random(pool: Pool, budget: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw uniformly without replacement.

    Args:
        pool: of which the size alone counts.
        budget: n, images to keep.
        rng: of the draw.

    Returns:
        int64 [n], unique.
    """
    return uniform(len(pool), budget, rng)
