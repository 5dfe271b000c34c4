"""Greedy k-center (Sener & Savarese 2018): every image should be near an image of the coreset."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench import Pool, check_budget, check_finite, register_method, unit_rows

_WIDE = 64
"""Features from which blocks are faster; with 128 and more they are 8 to 14 times as fast (20,000 images)."""
_CANDIDATES = 512
"""Rows among which a block looks for picks; 512 was the fastest of 128 to 1,024."""
_STEP = 256
"""Picks whose distances to all rows are computed at once."""


def farthest_first(rows: NDArray[np.floating], budget: int) -> NDArray[np.int64]:
    """Pick row 0, then n - 1 times the row that is farthest from its nearest pick.

    Gonzalez 1985; Sener & Savarese 2018, algorithm 1. The largest distance of a row to its nearest pick is at most
    twice the optimum. Distances are compared in float64, so that rounding does not order near-duplicates.

    Args:
        rows: [N, D], finite. Not modified.
        budget: n, rows to pick.

    Returns:
        int64 [n], unique, in the order of the picks. Ties go to the smallest index.

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
    """Fill in the remaining picks, comparing each with all rows.

    Args:
        rows: [N, D].
        picks: int64 [n], of which the first ``done`` are made; changed in place.
        done: at least 1, unless n is 0.
    """
    if done == len(picks):
        return
    nearest = _nearest(rows, rows[picks[:done]])
    # Below every distance: a pick must not be picked again when only copies are left, at distance 0.
    nearest[picks[:done]] = -1
    # Once for all steps; otherwise each step would convert the whole pool.
    exact = rows.astype(np.float64)
    squares = np.einsum("nd,nd->n", exact, exact)
    for step in range(done, len(picks)):
        pick = picks[step] = int(nearest.argmax())
        np.minimum(nearest, squared_distances(exact, exact[pick, None], squares)[:, 0], out=nearest)
        nearest[pick] = -1


def in_blocks(rows: NDArray[np.floating], picks: NDArray[np.int64], done: int) -> int:
    """Fill in the same picks as ``one_by_one`` in blocks, and return how many picks are made.

    A block takes its picks from the rows that were farthest when it began. Distances to the picks only shrink, so
    stale distances are upper bounds: a candidate is picked while it is farther than any other row can be. Then the
    block's picks are compared with all rows at once, as a product of matrices. Bounds are float32 with their error
    added; the candidates' distances are float64.

    Returns:
        The number of picks: all of them, or fewer if more rows than there are candidates are equally far, as copies
        are.
    """
    coarse = np.ascontiguousarray(rows, dtype=np.float32)
    squares = np.einsum("nd,nd->n", coarse, coarse)
    # |x|^2 + |y|^2 - 2xy sums D products, together at most max |x|^2 in size, with one rounding per addition.
    error = 4 * rows.shape[1] * np.finfo(np.float32).eps * float(squares.max())
    bounds = np.full(len(rows), np.inf, dtype=np.float32)
    compared = 0
    while compared < done < len(picks):
        for start in range(compared, done, _STEP):
            new = picks[start : min(start + _STEP, done)]
            apart = coarse @ coarse[new].T
            apart *= -2
            # |x|^2 is the same for all picks, so it is added after the minimum, to [N] and not [N, picks].
            apart += squares[new]
            np.minimum(bounds, apart.min(1) + squares, out=bounds)
            bounds[new] = -np.inf
        compared = done
        farthest = np.argpartition(-bounds, _CANDIDATES)
        # The largest distance that a row outside the candidates can have, including the rounding of its bound.
        limit = float(bounds[farthest[_CANDIDATES]]) + error
        # Sorted, so that ``argmax`` takes the smallest index of equally far rows, as ``one_by_one`` does.
        candidates = np.sort(farthest[:_CANDIDATES])
        nearest = _nearest(rows[candidates], rows[picks[:done]])
        nearest[np.isneginf(bounds[candidates])] = -1
        among = squared_distances(rows[candidates], rows[candidates])
        # Above and not at the limit: a row outside may be as far and have the smaller index.
        while done < len(picks) and nearest[best := int(nearest.argmax())] > limit:
            picks[done] = candidates[best]
            done += 1
            # Candidates are compared with every pick at once; other rows only when the block ends.
            np.minimum(nearest, among[best], out=nearest)
            nearest[best] = -1
    return done


def _nearest(points: NDArray[np.floating], picked: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the squared distance of every point to the nearest picked row, float64 [N]."""
    nearest = np.full(len(points), np.inf)
    for start in range(0, len(picked), _STEP):
        np.minimum(nearest, squared_distances(points, picked[start : start + _STEP]).min(1), out=nearest)
    return nearest


def squared_distances(
    points: NDArray[np.floating], others: NDArray[np.floating], squares: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """Return the squared distances between points and others, float64 [N, M]; differences within rounding are 0.

    The expanded form leaves copies a rounding error away from 0, so their order would depend on the machine.

    Args:
        points: [N, D].
        others: [M, D].
        squares: float64 [N], the squared lengths of the points if they are known.
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
    """Pick greedily the image that is farthest from its nearest pick, starting from a random image.

    Sener & Savarese 2018, algorithm 1, on L2-normalised embeddings: the largest distance of an image to its nearest
    pick is at most twice the optimum. Deviation: the paper takes the penultimate layer of the network in training and
    starts from labelled images; here the encoder is frozen and the first image is drawn.

    Args:
        pool: needs embeddings.
        budget: n, images to keep.
        rng: draws the first image and breaks ties.

    Returns:
        int64 [n], unique, in the order of the picks.

    Raises:
        SelectionError: an embedding is not finite.
    """
    check_finite("embedding values", pool.embeddings)
    # Row 0 is the first pick and ``argmax`` takes the first of equals, so the shuffle decides both.
    order = rng.permutation(len(pool))
    return order[farthest_first(unit_rows(pool.embeddings)[order], budget)]
