"""Herding (Welling 2009): images whose mean embedding follows the mean of the pool."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from bench import Pool, check_budget, check_finite, fit_kmeans, register_method, unit_rows

from ._groups import proportional_quotas


def follow_mean(rows: NDArray[np.floating], budget: int) -> NDArray[np.int64]:
    """Pick n times the row with the largest <w, x>, where w starts at the mean and each pick adds mean - x to it.

    Welling 2009, equations 17 and 18, without replacement. If all rows have the same length, each pick brings the mean
    of the picks as near to the mean of all rows as possible (Rebuffi et al. 2017, algorithm 4). This takes N * n * D
    operations.

    Args:
        rows: [N, D], finite, of length 1. Not modified.
        budget: n, rows to pick.

    Returns:
        int64 [n], unique, in the order of the picks. Ties go to the smallest index.

    Raises:
        SelectionError: n is outside 0 to N.
    """
    check_budget(len(rows), budget)
    if not budget:
        return np.empty(0, dtype=np.int64)
    # The sum of n steps needs float64; the product below stays in the rows' dtype, or each step would copy the pool.
    mean = rows.mean(0, dtype=np.float64)
    weight = mean.copy()
    taken = np.zeros(len(rows), dtype=bool)
    picks = np.empty(budget, dtype=np.int64)
    for step in range(budget):
        value = rows @ weight.astype(rows.dtype)
        value[taken] = -np.inf
        pick = int(value.argmax())
        picks[step] = pick
        taken[pick] = True
        weight += mean - rows[pick]
    return picks


@register_method(
    "herding",
    supervision="none",
    needs=("embeddings",),
    paper="Welling 2009, 10.1145/1553374.1553517",
    stochastic=True,
)
def herding(
    pool: Pool, budget: int, rng: np.random.Generator, *, clusters: Annotated[int, Field(ge=1)] = 1
) -> NDArray[np.int64]:
    """Pick images whose mean embedding follows the mean of the pool, or of each of several k-means clusters.

    Welling 2009, on L2-normalised embeddings: each pick brings the mean of the picks as near to the mean of all images
    as possible. Deviation: the usual form herds inside each class; here no label is read, and the groups are k-means
    clusters (or the whole pool) with budgets proportional to their sizes.

    Args:
        pool: needs embeddings.
        budget: n, images to keep.
        rng: seeds k-means and breaks ties.
        clusters: number of clusters, each of whose means is followed; 1 is the whole pool.

    Returns:
        int64 [n], unique.

    Raises:
        SelectionError: an embedding is not finite.
    """
    check_finite("embedding values", pool.embeddings)
    # Shuffled: ``argmax`` takes the first of equal values, and data sets are often stored class by class.
    order = rng.permutation(len(pool))
    rows = unit_rows(pool.embeddings)[order]
    if clusters == 1:
        return order[follow_mean(rows, budget)]
    groups = fit_kmeans(rows, min(clusters, len(rows)), seed=int(rng.integers(2**31))).labels_
    quotas = proportional_quotas(np.bincount(groups), budget, rng)
    members = [np.flatnonzero(groups == number) for number in range(len(quotas))]
    picks = [nodes[follow_mean(rows[nodes], int(quota))] for nodes, quota in zip(members, quotas, strict=True)]
    return order[np.concatenate(picks)]
