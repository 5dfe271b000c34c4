"""TDDS (Zhang et al. 2024): how much the change of an image's outputs varies over training."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bench import Pool, hardest, need, register_method


@register_method(
    "tdds",
    supervision="labels",
    needs=(need("dynamics", of="labels"),),
    paper="Zhang et al. 2024, arXiv:2311.13613",
    stochastic=True,
)
def tdds(
    pool: Pool, budget: int, rng: np.random.Generator, *, trajectory: Literal["long", "short"] = "long"
) -> NDArray[np.int64]:
    """Keep the images of highest Temporal Dual-Depth Score: the KL between successive outputs varies most.

    TDDS (Zhang et al. 2024), as its released code computes it (``bench.training.tdds``): the sum over classes of
    |p_t ln(p_t / p_{t-1})|, its deviation from the mean inside windows of J epochs, and a moving average of the windows
    in the first T epochs. The paper tunes T and J by data set and rate; ``long`` is the released code's example for
    CIFAR-100, ``short`` the authors' setting for it where 90 % are removed. Outputs are those of the training forward
    pass, before the update, as in the released code.

    Args:
        pool: needs dynamics on true labels.
        budget: n, images to keep.
        rng: breaks ties.
        trajectory: ``long`` is T = 30 and J = 10, ``short`` T = 10 and J = 5.

    Returns:
        int64 [n], unique, most uncertain first.

    Raises:
        SelectionError: a score is not finite.
    """
    dynamics = pool.dynamics(of="labels")
    # ``difficulty`` knows one TDDS; that of the short trajectory is high = uncertain as well.
    scores = dynamics.difficulty("tdds") if trajectory == "long" else dynamics.tdds_early.astype(np.float64)
    pool.report(scores=scores)
    return hardest(scores, budget, rng)
