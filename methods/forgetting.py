"""Forgetting events (Toneva et al. 2019), by a proxy trained on true labels."""

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
    """Keep the images that the proxy forgets most often in training (many forgetting events = hard).

    Toneva et al. 2019: an image is forgotten when the proxy's prediction turns from right to wrong between two epochs.

    Args:
        pool: needs dynamics on true labels.
        budget: n, images to keep.
        rng: breaks ties, which are frequent between counts.
        never_learned: how images count that the proxy never classified correctly: as the ``hardest`` (Toneva et al.
            2019), or as ``zero`` forgetting events, the easiest (released code of CCS and ELFS).

    Returns:
        int64 [n], unique, hardest first.

    Raises:
        SelectionError: a score is not finite.
    """
    difficulty = pool.dynamics(of="labels").difficulty("forgetting", never_learned=never_learned)
    pool.report(scores=difficulty)
    return hardest(difficulty, budget, rng)
