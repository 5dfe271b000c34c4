"""Greedy k-center (Sener & Savarese 2018): every image should be near a kept one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench import Pool, check_budget, check_finite, register_method, unit_rows

_WIDE = 64
"""Features from which blocks pay; with 128 and more they are 8 to 14 times as fast (20,000 images)."""
_CANDIDATES = 512
"""Rows among which a block looks for picks; of 128 to 1,024 the fastest."""
_STEP = 256
"""Picks whose distances to all rows are computed at once."""


def farthest_first(rows: NDArray[np.floating], budget: int) -> NDArray[np.int64]:
    """Pick row 0, then n - 1 times the row that is farthest from all picks.

    Gonzalez 1985; Sener & Savarese 2018, algorithm 1. The largest distance to a pick is at most twice the optimum.
    Distances are compared in float64, so that near-duplicates are not ordered by rounding.

    Args:
        rows: [N, D], finite. Not modified.
        budget: n, rows to pick.

    Returns:
        int64 [n], unique, in the order of the picks; of equal distances the smallest index is picked first.

    Raises:
        SelectionError: n is outside 0 to N.
    """
    check_budget(len(rows), budget)
    picks = np.zeros(budget, dtype=np.int64)
    done = min(budget, 1)
    if rows.shape[1] >= _WIDE and len(rows) > _CANDIDATES:
        done = in_blocks(rows, picks, done)
    one_by_one(rows, picks, done)
    return picks


def one_by_one(rows: NDArray[np.floating], picks: NDArray[np.int64], done: int) -> None:
    """Fill in the picks from the ``done``-th on, comparing each with all rows.

    Args:
        rows: [N, D].
        picks: int64 [n], of which the first ``done`` are made; changed in place.
        done: at least 1, unless n is 0.
    """
    if done == len(picks):
        return
    nearest = _nearest(rows, rows[picks[:done]])
    # Below every distance: a pick must not come again where all that is left are copies, at distance 0.
    nearest[picks[:done]] = -1
    # Once for all steps; each step would otherwise convert the whole pool.
    exact = rows.astype(np.float64)
    squares = np.einsum("nd,nd->n", exact, exact)
    for step in range(done, len(picks)):
        pick = picks[step] = int(nearest.argmax())
        np.minimum(nearest, squared_distances(exact, exact[pick, None], squares)[:, 0], out=nearest)
        nearest[pick] = -1


def in_blocks(rows: NDArray[np.floating], picks: NDArray[np.int64], done: int) -> int:
    """Fill in the same picks, as far as can be told from the rows that were farthest when a block began.

    Distances to the picks only shrink, so stale ones are upper bounds: a pick is taken among the candidates while it is
    farther than any other row can be. Then the block's picks are compared with all rows at once, as a product of
    matrices. Bounds are float32 with their error added; the candidates' distances are float64.

    Returns:
        How many picks are made: all, or fewer where more rows than candidates are equally far, as copies are.
    """
    coarse = np.ascontiguousarray(rows, dtype=np.float32)
    squares = np.einsum("nd,nd->n", coarse, coarse)
    # |x|^2 + |y|^2 - 2xy sums D products, each at most max |x|^2 in total, with one rounding per addition.
    error = 4 * rows.shape[1] * np.finfo(np.float32).eps * float(squares.max())
    bounds = np.full(len(rows), np.inf, dtype=np.float32)
    compared = 0
    while compared < done < len(picks):
        for start in range(compared, done, _STEP):
            new = picks[start : min(start + _STEP, done)]
            apart = coarse @ coarse[new].T
            apart *= -2
            # |x|^2 is the same for all picks and is added to the smallest alone, to [N] and not [N, picks].
            apart += squares[new]
            np.minimum(bounds, apart.min(1) + squares, out=bounds)
            bounds[new] = -np.inf
        compared = done
        farthest = np.argpartition(-bounds, _CANDIDATES)
        # What the farthest row outside the candidates can be away at most, rounding of its bound included.
        limit = float(bounds[farthest[_CANDIDATES]]) + error
        # Sorted, since ``argmax`` then takes the smallest index of equally far rows, as ``one_by_one`` does.
        candidates = np.sort(farthest[:_CANDIDATES])
        nearest = _nearest(rows[candidates], rows[picks[:done]])
        nearest[np.isneginf(bounds[candidates])] = -1
        among = squared_distances(rows[candidates], rows[candidates])
        # Above, not at the limit: a row outside may be as far, and have the smaller index.
        while done < len(picks) and nearest[best := int(nearest.argmax())] > limit:
            picks[done] = candidates[best]
            done += 1
            # Every pick of the block counts for the next at once; other rows hear of it when the block ends.
            np.minimum(nearest, among[best], out=nearest)
            nearest[best] = -1
    return done


def _nearest(points: NDArray[np.floating], picked: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the squared distance float64 [N] of every point to the nearest of the picked rows."""
    nearest = np.full(len(points), np.inf)
    for start in range(0, len(picked), _STEP):
        np.minimum(nearest, squared_distances(points, picked[start : start + _STEP]).min(1), out=nearest)
    return nearest


def squared_distances(
    points: NDArray[np.floating], others: NDArray[np.floating], squares: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """Return the squared distances float64 [N, M] of [N, D] and [M, D], 0 where rounding is all there is.

    The expanded form leaves copies a rounding error away from 0, which would order them by chance of the machine.

    Args:
        points: [N, D].
        others: [M, D].
        squares: float64 [N], the squared lengths of the points where they are known.
    """
    points, others = (rows.astype(np.float64, copy=False) for rows in (points, others))
    point_squares = np.einsum("nd,nd->n", points, points) if squares is None else squares
    sums = point_squares[:, None] + np.einsum("nd,nd->n", others, others)
    apart = sums - 2 * (points @ others.T)
    apart[apart <= 4 * points.shape[1] * np.finfo(np.float64).eps * sums] = 0
    return apart


@register_method(
    "kcenter",
    supervision="none",
    needs=("embeddings",),
    paper="Sener & Savarese 2018, arXiv:1708.00489",
    version=2,
    stochastic=True,
)
def kcenter(pool: Pool, budget: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Pick the image farthest from all picks, among the L2-normalised embeddings, from a random first image on.

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
    # Row 0 is the first pick and ``argmax`` takes the first of equals, so a shuffle draws both.
    order = rng.permutation(len(pool))
    return order[farthest_first(unit_rows(pool.embeddings)[order], budget)]
