"""Forgetting events (Toneva et al. 2019) of a proxy trained on true labels."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bench import Pool, hardest, need, register_method


@register_method(
    "forgetting",
    supervision="labels",
    needs=(need("dynamics", of="labels"),),
    paper="Toneva et al. 2019, arXiv:1812.05159",
    stochastic=True,
)
def forgetting(
    pool: Pool, budget: int, rng: np.random.Generator, *, never_learned: Literal["hardest", "zero"] = "hardest"
) -> NDArray[np.int64]:
    """Keep the most often forgotten images; never-learned ones rank hardest (paper) or zero (code of CCS and ELFS)."""
    difficulty = pool.dynamics(of="labels").difficulty("forgetting", never_learned=never_learned)
    pool.report(scores=difficulty)
    return hardest(difficulty, budget, rng)
