"""Dyn-Unc (He et al. 2024): standard deviation of the confidence over windows of epochs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench import Pool, hardest, need, register_method


@register_method(
    "dynunc",
    supervision="labels",
    needs=(need("dynamics", of="labels"),),
    paper="He et al. 2024, arXiv:2306.05175",
    stochastic=True,
)
def dynunc(pool: Pool, budget: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Keep the images whose confidence varies most inside sliding windows of 10 epochs (high = uncertain).

    Dyn-Unc (He et al. 2024): the score is the standard deviation of the confidence in the label inside each window,
    averaged over the windows.

    Args:
        pool: needs dynamics on true labels.
        budget: n, images to keep.
        rng: breaks ties.

    Returns:
        int64 [n], unique, most uncertain first.

    Raises:
        SelectionError: a score is not finite.
    """
    difficulty = pool.dynamics(of="labels").difficulty("dyn-unc")
    pool.report(scores=difficulty)
    return hardest(difficulty, budget, rng)
