"""Greedy k-center (Sener & Savarese 2018): every image should be near a kept one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench import Pool, check_budget, check_finite, register_method, unit_rows


def farthest_first(rows: NDArray[np.floating], budget: int) -> NDArray[np.int64]:
    """Pick row 0, then n - 1 times the row that is farthest from all picks.

    Gonzalez 1985; Sener & Savarese 2018, algorithm 1. The largest distance to a pick is at most twice the optimum.
    N * n * D operations, one distance per image in memory.

    Args:
        rows: [N, D], finite. Not modified.
        budget: n, rows to pick.

    Returns:
        int64 [n], unique, in the order of the picks; of equal distances the smallest index is picked first.

    Raises:
        SelectionError: n is outside 0 to N.
    """
    check_budget(len(rows), budget)
    squares = np.einsum("nd,nd->n", rows, rows)
    apart = np.full(len(rows), np.inf)
    picks = np.empty(budget, dtype=np.int64)
    for step in range(budget):
        pick = int(apart.argmax())
        picks[step] = pick
        # Squared distances by the expanded form: copies may come out a rounding error away from 0, never below.
        np.minimum(apart, np.maximum(squares + squares[pick] - 2 * (rows @ rows[pick]), 0), out=apart)
        apart[pick] = -1
    return picks


@register_method(
    "kcenter",
    supervision="none",
    needs=("embeddings",),
    paper="Sener & Savarese 2018, arXiv:1708.00489",
    stochastic=True,
)
def kcenter(pool: Pool, budget: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Farthest-first traversal of the L2-normalised embeddings from a random first image.

    Deviation: the paper takes the penultimate layer of the network in training and starts from images that are
    already labelled; here the encoder is frozen and the start is drawn.

    Args:
        pool: needs embeddings.
        budget: n, images to keep.
        rng: of the first image, and breaks ties.

    Returns:
        int64 [n], unique, in the order of the traversal.

    Raises:
        SelectionError: an embedding is not finite.
    """
    check_finite("embedding values", pool.embeddings)
    order = rng.permutation(len(pool))
    return order[farthest_first(unit_rows(pool.embeddings)[order], budget)]
