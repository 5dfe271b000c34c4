"""EL2N (Paul et al. 2021): L2 norm of the error early in training, by a proxy on true labels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench import Pool, hardest, need, register_method


@register_method(
    "el2n",
    supervision="labels",
    needs=(need("dynamics", of="labels"),),
    paper="Paul et al. 2021, arXiv:2107.07075",
    stochastic=True,
)
def el2n(pool: Pool, budget: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Keep the images with the largest errors early in training (high EL2N = hard).

    Paul et al. 2021: the score is the L2 norm of softmax minus one-hot label, averaged over the first 10 epochs.
    Deviation: one proxy, where the paper averages ten networks.

    Args:
        pool: needs dynamics on true labels.
        budget: n, images to keep.
        rng: breaks ties.

    Returns:
        int64 [n], unique, hardest first.

    Raises:
        SelectionError: a score is not finite.
    """
    difficulty = pool.dynamics(of="labels").difficulty("el2n")
    pool.report(scores=difficulty)
    return hardest(difficulty, budget, rng)
