"""DUAL (Cho et al. 2025): images that are uncertain and difficult early in training."""

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
    """Keep the images with the highest DUAL scores, or draw images by score (high = uncertain and hard).

    DUAL (Cho et al. 2025). The score is the standard deviation of the confidence in the label times one minus its
    mean, over windows of 10 epochs among the first 30. ``sampling="beta"`` is the paper's "DUAL + beta": it draws
    images with probability proportional to the score times BetaPDF(mean confidence; a, b), with
    b = 15 (1 - mu) (1 - r^c) and a = 16 - b, where mu is the mean confidence of the 10 images with the highest scores
    and r the rate. High rates favour easy images.

    Deviations: 30 epochs are used on ImageNet too, where the paper uses 60. In the draw, confidences are clipped to
    [1e-6, 1 - 1e-6] and b to at least 1e-6, and images of probability 0 come last, where the released code raises.

    Args:
        pool: needs dynamics on true labels.
        budget: n, images to keep.
        rng: breaks ties, and draws.
        sampling: ``top`` keeps the highest scores, ``beta`` draws.
        exponent: c; the paper takes 4 on CIFAR, and 2 more than its c on ImageNet. Only for ``sampling="beta"``.

    Returns:
        int64 [n], unique, hardest first, or in the order of the draws.

    Raises:
        SelectionError: a score is not finite.
    """
    dynamics = pool.dynamics(of="labels")
    difficulty = dynamics.difficulty("dual")
    pool.report(scores=difficulty)
    if sampling == "top":
        return hardest(difficulty, budget, rng)
    # A method gets a budget and no rate; rounding moves this rate slightly away from the grid's.
    rate = 1 - budget / len(pool)
    return beta_sample(difficulty, dynamics.early_confidence, budget, rng, rate=rate, exponent=exponent)
