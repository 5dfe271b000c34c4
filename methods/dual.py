"""DUAL (Cho et al. 2025): uncertain and difficult early in training."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench import Pool, hardest, need, register_method


@register_method(
    "dual",
    supervision="labels",
    needs=(need("dynamics", of="labels"),),
    paper="Cho et al. 2025, arXiv:2502.06905",
    stochastic=True,
)
def dual(pool: Pool, budget: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Keep the images of highest DUAL score: spread of the confidence times one minus its mean, in early windows.

    DUAL (Cho et al. 2025): windows of 10 epochs among the first 30. Deviations: the paper's second step, sampling by a
    Beta distribution that turns to easy images at high rates, is left out, so this is the paper's "DUAL" and not
    "DUAL + beta"; and 30 epochs are taken on ImageNet too, where the paper takes more.

    Args:
        pool: needs dynamics on true labels.
        budget: n, images to keep.
        rng: breaks ties.

    Returns:
        int64 [n], unique, hardest first.

    Raises:
        SelectionError: a score is not finite.
    """
    difficulty = pool.dynamics(of="labels").difficulty("dual")
    pool.report(scores=difficulty)
    return hardest(difficulty, budget, rng)
