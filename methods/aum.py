"""Area under the margin (Pleiss et al. 2020) of a proxy trained on true labels."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from bench import Pool, hard_to_easy, need, register_method

from ._scores import beta_within_rate, next_hardest


@register_method(
    "aum",
    supervision="labels",
    needs=(need("dynamics", of="labels"),),
    paper="Pleiss et al. 2020, arXiv:2001.10528",
    stochastic=True,
    check=beta_within_rate,
)
def aum(
    pool: Pool,
    budget: int,
    rng: np.random.Generator,
    *,
    margin: Literal["softmax", "logits"] = "softmax",
    beta: Annotated[float, Field(ge=0, lt=1)] = 0.0,
) -> NDArray[np.int64]:
    """Keep the images with the lowest area under the margin (low AUM = hard).

    Pleiss et al. 2020. AUM is the sum over epochs of an image's margin: the output for its label minus the largest
    other output, by a proxy trained on the true labels. Deviation: the default takes margins of softmax
    probabilities, as CCS and ELFS do; ``margin="logits"`` is the paper's.

    With ``beta``, the floor(beta * N) hardest images are dropped first. This is the cut of ELFS with true labels in
    place of pseudo-labels, so comparing both shows what pseudo-labels cost.

    Args:
        pool: needs dynamics on true labels.
        budget: n, images to keep.
        rng: breaks ties.
        margin: whether margins are differences of ``softmax`` probabilities or of ``logits``.
        beta: fraction of the pool that is dropped as too hard, in [0, 1).

    Returns:
        int64 [n], unique, hardest first.

    Raises:
        SelectionError: a score is not finite, or beta is above the rate.
    """
    difficulty = pool.dynamics(of="labels").difficulty("aum" if margin == "softmax" else "aum-logits")
    pool.report(scores=difficulty)
    return next_hardest(hard_to_easy(difficulty, rng), budget, beta)
