"""TDDS (Zhang et al. 2024): how much the change of an image's outputs varies over the training."""

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
    """Keep the images whose change of outputs from epoch to epoch varies most (high = uncertain).

    Temporal Dual-Depth Score (Zhang et al. 2024), as its released code computes it. The change in epoch t is the sum
    over classes of |p_t ln(p_t / p_{t-1})|. For every window of J epochs, take the L2 norm of the deviations of these
    changes from their mean. The score is the exponential moving average of the windows in the first T epochs, in which
    the newest window has the weight 0.9. The paper tunes T and J for every data
    set and rate. Outputs come from the training forward pass, before the update, as in the released code.

    Args:
        pool: needs dynamics on true labels.
        budget: n, images to keep.
        rng: breaks ties.
        trajectory: ``long`` is T = 30 and J = 10, the released code's example for CIFAR-100; ``short`` is T = 10 and
            J = 5, the authors' setting for CIFAR-100 with 90 % removed.

    Returns:
        int64 [n], unique, most uncertain first.

    Raises:
        SelectionError: a score is not finite.
    """
    dynamics = pool.dynamics(of="labels")
    # ``difficulty`` returns the long trajectory's score; the short one's is high = uncertain as well.
    scores = dynamics.difficulty("tdds") if trajectory == "long" else dynamics.tdds_early.astype(np.float64)
    pool.report(scores=scores)
    return hardest(scores, budget, rng)
