"""No pruning: the full pool, whose accuracy is the reference for every coreset."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench import Pool, register_method


@register_method("full", supervision="none", unpruned=True)
def full(pool: Pool, budget: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Keep the whole pool (rate 0 only).

    Args:
        pool: only its size is used.
        budget: N.
        rng: not used.

    Returns:
        int64 [N], all positions in order.
    """
    return np.arange(len(pool), dtype=np.int64)
