"""Forgetting events (Toneva et al. 2019) of a proxy trained on true labels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench import NeverLearned, Pool, hardest, need, register_method


@register_method(
    "forgetting",
    supervision="labels",
    needs=(need("dynamics", of="labels"),),
    paper="Toneva et al. 2019, arXiv:1812.05159",
    stochastic=True,
)
def forgetting(
    pool: Pool, budget: int, rng: np.random.Generator, *, never_learned: NeverLearned = "hardest"
) -> NDArray[np.int64]:
    """Keep the most often forgotten images; never-learned ones rank hardest (paper) or zero (code of CCS and ELFS).

    Args:
        pool: needs dynamics on true labels.
        budget: n, images to keep.
        rng: breaks ties, of which counts have many.
        never_learned: what images count as that the proxy never had right: the hardest (Toneva et al. 2019), or
            ``zero`` forgettings, the easiest (released code of CCS and ELFS).

    Returns:
        int64 [n], unique, hardest first.

    Raises:
        SelectionError: a score is not finite.
    """
    difficulty = pool.dynamics(of="labels").difficulty("forgetting", never_learned=never_learned)
    pool.report(scores=difficulty)
    return hardest(difficulty, budget, rng)
