"""Graph cut (Iyer et al. 2021): images that are similar to the pool and not to each other."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from bench import Pool, check_budget, check_finite, register_method, unit_rows


def greedy_cut(rows: NDArray[np.floating], budget: int, redundancy: float) -> NDArray[np.int64]:
    """Greedily maximise f(S) = sum over i in the pool, j in S of s_ij - lambda * sum over j, k in S of s_jk.

    The similarity is s_ij = (1 + <x_i, x_j>) / 2. Both sums are products with a sum of rows, so every gain is exact
    without an N x N matrix, in N * n * D operations. For lambda up to 1/2 the function is monotone and f(S) is at least
    1 - 1/e of the optimum; above, greedy picks may be worse than random ones.

    Args:
        rows: x [N, D], finite, of length at most 1. Not modified.
        budget: n, rows to pick.
        redundancy: lambda, at least 0.

    Returns:
        int64 [n], unique, in the order of the picks. Ties go to the smallest index.

    Raises:
        SelectionError: n is outside 0 to N.
    """
    check_budget(len(rows), budget)
    points = rows.astype(np.float64)
    squares = np.einsum("nd,nd->n", points, points)
    # The gain of a first pick j: the sum of its row of s minus lambda s_jj, where s_jj = (1 + |x_j|^2) / 2.
    gains = (len(points) + points @ points.sum(0)) / 2 - redundancy * (1 + squares) / 2
    picks = np.empty(budget, dtype=np.int64)
    for step in range(budget):
        pick = int(gains.argmax())
        picks[step] = pick
        # Each pair counts twice in the second sum, as jk and kj: 2 lambda s_jk.
        gains -= redundancy * (1 + points @ points[pick])
        gains[pick] = -np.inf
    return picks


@register_method(
    "graph-cut",
    supervision="none",
    needs=("embeddings",),
    paper="Iyer et al. 2021, arXiv:2006.15412",
    stochastic=True,
)
def graph_cut(
    pool: Pool, budget: int, rng: np.random.Generator, *, redundancy: Annotated[float, Field(ge=0)] = 0.5
) -> NDArray[np.int64]:
    """Pick greedily images that are similar to the pool and not to the images already picked.

    Iyer et al. 2021: maximise f(S) = sum over i in the pool, j in S of s_ij - lambda * sum over j, k in S of s_jk, one
    image at a time, where s is (1 + cosine) / 2 of the embeddings. The default lambda of 1/2 is the largest for which
    f is monotone. The first sum dominates until many images are picked, so the choice is typical and varies little.

    Args:
        pool: needs embeddings.
        budget: n, images to keep.
        rng: breaks ties.
        redundancy: lambda; a larger one avoids similar images more.

    Returns:
        int64 [n], unique, in the order of the picks: the first k are the picks of a budget of k.

    Raises:
        SelectionError: an embedding is not finite.
    """
    check_finite("embedding values", pool.embeddings)
    # Shuffled: ``argmax`` takes the first of equal gains, and data sets are often stored class by class.
    order = rng.permutation(len(pool))
    return order[greedy_cut(unit_rows(pool.embeddings)[order], budget, redundancy)]
