"""Unbiased partition (Schuller and Ganacim 2026): one of N / n blocks whose images lie far apart."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from bench import Pool, check_finite, register_method, unit_rows

_PROPOSED = 256
"""Random swaps that a step compares to make the best: comparing is cheap, and a swap costs a pass over the pool."""
_BLOCKS = 100
"""Most blocks that swap; more would improve the swaps little, and their sums would fill the memory."""
_CELLS = 2**23
"""Scores of pairs in memory at once."""


@register_method(
    "unbiased-partition",
    supervision="none",
    needs=("embeddings",),
    paper="Schuller and Ganacim 2026, arXiv:2610.10347",
    stochastic=True,
)
def unbiased_partition(
    pool: Pool, budget: int, rng: np.random.Generator, *, swaps: Annotated[float, Field(ge=0, le=100)] = 1.0
) -> NDArray[np.int64]:
    """Split the pool into blocks of images that lie far apart, and keep one block at random.

    Schuller and Ganacim 2026, section 5 and algorithm 1. Steps:

    1. Split the pool at random into N / n blocks of n images.
    2. Swap images between two blocks where that lowers the sum of 1 / (|x - y| + 0.01) over all pairs inside blocks.
    3. Draw one block.

    Each image is equally likely to be kept, so means over the coreset are unbiased, as for a random coreset; they vary
    less from draw to draw.

    Deviations: embeddings are L2-normalised. A step makes the best of 256 random swaps, where the paper makes every
    random swap that lowers the sum. There are at most 100 blocks. Images left over, if n does not divide N (as the
    paper requires) or more blocks would fit, are excluded at random. If more than half of the pool is kept, there is
    one block, and the coreset is random.

    Args:
        pool: needs embeddings.
        budget: n, images to keep.
        rng: draws the first blocks, the swaps and the block.
        swaps: number of steps, as a multiple of the size of the pool.

    Returns:
        int64 [n], unique.

    Raises:
        SelectionError: an embedding is not finite.
    """
    check_finite("embedding values", pool.embeddings)
    blocks = min(len(pool) // budget, _BLOCKS)
    # At random, or the images that fit into no block would never be kept, which would bias means over the coreset.
    inside = rng.permutation(len(pool))[: blocks * budget]
    owner = np.repeat(np.arange(blocks), budget)
    if blocks > 1:
        owner = spread(unit_rows(pool.embeddings[inside]), owner, round(swaps * len(pool)), rng)
    # Any block with the same chance, not the best one, so that every image is equally likely to be kept.
    return inside[owner == rng.integers(blocks)]


def spread(
    rows: NDArray[np.float32], owner: NDArray[np.int64], steps: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Swap images between blocks: in each step the best of some random swaps, if it lowers the sum.

    Args:
        rows: float32 [N, D], finite.
        owner: int64 [N], block of each row, ascending; at least two blocks, all of one size. Not modified.
        steps: number of steps.
        rng: proposes swaps.

    Returns:
        int64 [N], block of each row; block sizes stay the same.
    """
    owner = owner.copy()
    squares = np.einsum("nd,nd->n", rows, rows)
    sums = _sums(rows, squares, owner)
    for _ in range(steps):
        one, other = rng.integers(len(rows), size=(2, _PROPOSED))
        # A swap inside a block changes nothing.
        apart = owner[one] != owner[other]
        one, other = one[apart], other[apart]
        if not len(one):
            continue
        between = _score(squares[one] + squares[other] - 2 * np.einsum("pd,pd->p", rows[one], rows[other]))
        mine, theirs = owner[one], owner[other]
        # Each image goes to the other's block. The pair itself does not count there, and is in both sums: 2 * between.
        change = sums[other, mine] + sums[one, theirs] - 2 * between - sums[one, mine] - sums[other, theirs]
        best = int(change.argmin())
        if change[best] >= 0:
            continue
        swapped = [int(one[best]), int(other[best])]
        # float64 from here on: the sums are changed up to 2 N * swaps times, and errors of float32 would add up.
        near = _score(squares[:, None] + squares[swapped] - 2 * rows @ rows[swapped].T).astype(np.float64)
        near[swapped, [0, 1]] = 0
        first, second = owner[swapped]
        sums[:, first] += near[:, 1] - near[:, 0]
        sums[:, second] += near[:, 0] - near[:, 1]
        owner[swapped] = second, first
    return owner


def _score(squared: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return 1 / (d + 0.01) of squared distances, which rounding may make negative; 0.01 is the paper's."""
    return 1 / (np.sqrt(np.maximum(squared, 0)) + np.float32(0.01))


def _sums(rows: NDArray[np.float32], squares: NDArray[np.float32], owner: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the sum of each row's scores with all other rows of each block, float64 [N, blocks]."""
    # ``reduceat`` adds up between these starts, which needs ascending owners, as they are before the first swap.
    starts = np.flatnonzero(np.diff(owner, prepend=-1))
    sums = np.empty((len(rows), len(starts)))
    step = max(1, _CELLS // len(rows))
    for start in range(0, len(rows), step):
        chunk = np.arange(start, min(start + step, len(rows)))
        scores = _score(squares[chunk, None] + squares - 2 * rows[chunk] @ rows.T).astype(np.float64)
        # An image's score with itself would be 100 and hide all others.
        scores[np.arange(len(chunk)), chunk] = 0
        sums[chunk] = np.add.reduceat(scores, starts, axis=1)
    return sums
