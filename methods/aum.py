"""Area under the margin (Pleiss et al. 2020) of a proxy trained on true labels."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bench import Pool, need, register_method

from ._scores import hardest


@register_method(
    "aum",
    supervision="labels",
    needs=(need("dynamics", of="labels"),),
    paper="Pleiss et al. 2020, arXiv:2001.10528",
    stochastic=True,
)
def aum(
    pool: Pool, budget: int, rng: np.random.Generator, *, margin: Literal["softmax", "logits"] = "softmax"
) -> NDArray[np.int64]:
    """Keep the images of lowest AUM (hardest); softmax margins as in CCS and ELFS, or logits as in the paper."""
    difficulty = pool.dynamics(of="labels").difficulty("aum" if margin == "softmax" else "aum-logits")
    pool.report(scores=difficulty)
    return hardest(difficulty, budget, rng)
