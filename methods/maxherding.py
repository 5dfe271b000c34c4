"""MaxHerding (Bae et al. 2024): generalised coverage of the embeddings by a smooth kernel."""

from __future__ import annotations

import logging
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from bench import Pool, check_finite, register_method, unit_rows

from ._coverage import greedy_coverage, rbf

SUBSET = 35_000
"""Images that represent a larger pool, as in the released code."""
_log = logging.getLogger(__name__)


@register_method(
    "maxherding",
    supervision="none",
    needs=("embeddings",),
    paper="Bae et al. 2024, arXiv:2407.12212",
    stochastic=True,
)
def maxherding(
    pool: Pool,
    budget: int,
    rng: np.random.Generator,
    *,
    lengthscale: Annotated[float, Field(ge=0.01)] = 1.0,
    subset: Annotated[int, Field(ge=1)] = SUBSET,
) -> NDArray[np.int64]:
    """Pick greedily the image that raises the coverage of the pool most, with an RBF kernel of the distance.

    Bae et al. 2024, equation 5 and algorithm 1: take n times the argmax over x of the mean over i of
    max(k(x_i, x), max over s in S of k(x_i, s)), where k(x, x') = exp(-|x - x'|^2 / h^2) on L2-normalised embeddings
    and h = 1, which the paper found robust. Uncertainty Herding (arXiv:2412.20644) is the same method as long as no
    label is known.

    As in the released code, 35,000 random images represent a larger pool, both as candidates and as images to cover.
    Deviation: twice the budget represents it if that is more, so that there is a choice.

    Args:
        pool: needs embeddings.
        budget: n, images to keep.
        rng: draws the subset and breaks ties.
        lengthscale: h; two images at distance h cover each other by 1/e.
        subset: number of images that represent the pool.

    Returns:
        int64 [n], unique, in the order of the picks: the first k are the picks of a budget of k from the same subset.

    Raises:
        SelectionError: an embedding is not finite.
    """
    check_finite("embedding values", pool.embeddings)
    # One shuffle draws the subset and breaks ties, which ``greedy_coverage`` breaks by position.
    shuffled = rng.permutation(len(pool))
    inside = shuffled[: max(subset, 2 * budget)]
    if subset != SUBSET and len(inside) == len(shuffled):
        _log.warning("maxherding: subset=%s changes nothing, since the whole pool of %s is compared", subset, len(pool))
    picks = greedy_coverage(unit_rows(pool.embeddings[inside]), budget, rbf(lengthscale))
    # If no image covers more, only copies of picks are left.
    rest = np.delete(inside, picks)
    return np.concatenate([inside[picks], rest[: budget - len(picks)]])
