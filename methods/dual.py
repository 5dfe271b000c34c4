"""DUAL (Cho et al. 2025): uncertain and difficult early in training."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from bench import Pool, hardest, need, register_method

from ._scores import beta_sample
from ._unread import refuse_unread


@register_method(
    "dual",
    supervision="labels",
    needs=(need("dynamics", of="labels"),),
    paper="Cho et al. 2025, arXiv:2502.06905",
    stochastic=True,
    check=lambda params, rate: refuse_unread(params, "sampling=beta", params["sampling"] == "beta", {"exponent": 4.0}),
)
def dual(
    pool: Pool,
    budget: int,
    rng: np.random.Generator,
    *,
    sampling: Literal["top", "beta"] = "top",
    exponent: Annotated[float, Field(gt=0)] = 4.0,
) -> NDArray[np.int64]:
    """Keep the images of highest DUAL score (spread of the confidence times one minus its mean, early), or sample.

    DUAL (Cho et al. 2025): windows of 10 epochs among the first 30. ``sampling="beta"`` is the paper's "DUAL + beta":
    images are drawn by the score times a Beta density of their mean confidence in these epochs, which turns to easy
    images at high rates (``_scores.beta_sample``). Deviation: 30 epochs are taken on ImageNet too, where the paper
    takes 60.

    Args:
        pool: needs dynamics on true labels.
        budget: n, images to keep.
        rng: breaks ties, and draws.
        sampling: ``top`` keeps the highest scores, ``beta`` draws.
        exponent: of the rate in the Beta density, c; the paper takes 4 on CIFAR and 2 more than its c on ImageNet. For
            ``sampling="beta"`` alone.

    Returns:
        int64 [n], unique, hardest first; in the order of the draws where they are drawn.

    Raises:
        SelectionError: a score is not finite.
    """
    dynamics = pool.dynamics(of="labels")
    difficulty = dynamics.difficulty("dual")
    pool.report(scores=difficulty)
    if sampling == "top":
        return hardest(difficulty, budget, rng)
    # The rate that the budget makes, which rounding moves a little from the grid's: a method is given a budget alone.
    rate = 1 - budget / len(pool)
    return beta_sample(difficulty, dynamics.early_confidence, budget, rng, rate=rate, exponent=exponent)
