"""Unbiased partition (Schuller and Ganacim 2026): one of N / n blocks whose images lie far apart."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from bench import Pool, check_finite, register_method, unit_rows

_PROPOSED = 256
"""Random swaps of which a step takes the best: a step that is taken costs a pass over the pool, a look at one next to
nothing."""
_BLOCKS = 100
"""Blocks that swap; with more of them a swap finds little more, and their sums would fill the memory."""
_CELLS = 2**23
"""Scores of pairs held at once."""


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
    """Split the pool into blocks of far-apart images, and keep one of them at random.

    Schuller and Ganacim 2026, section 5 and algorithm 1: the pool is split into N / n blocks of n images at random;
    swaps between two blocks that lower the sum over the pairs inside blocks of 1 / (|x - y| + 0.01) are made; one block
    is drawn. Each image is as likely to be kept as any other, so means over the coreset are right on average, as those
    of a random one; they vary less from draw to draw. Deviations: embeddings are L2-normalised; a step takes the best
    of 256 random swaps, where the paper takes every random one that lowers the sum; there are at most 100 blocks, and
    where n does not divide N (the paper asks that it does) or more would fit, images that are drawn at random stay out.
    With more than half of the pool kept there is one block, and the coreset is a random one.

    Args:
        pool: needs embeddings.
        budget: n, images to keep.
        rng: draws the first blocks, the swaps and the block.
        swaps: steps for each image of the pool.

    Returns:
        int64 [n], unique.

    Raises:
        SelectionError: an embedding is not finite.
    """
    check_finite("embedding values", pool.embeddings)
    blocks = min(len(pool) // budget, _BLOCKS)
    # At random, or the images that fit into no block would never be kept, and means over the coreset be off.
    inside = rng.permutation(len(pool))[: blocks * budget]
    owner = np.repeat(np.arange(blocks), budget)
    if blocks > 1:
        owner = spread(unit_rows(pool.embeddings[inside]), owner, round(swaps * len(pool)), rng)
    # Any block with the same chance, not the best one: that is what makes every image as likely to be kept.
    return inside[owner == rng.integers(blocks)]


def spread(
    rows: NDArray[np.float32], owner: NDArray[np.int64], steps: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Swap images between blocks, each time the best of some random swaps, if it lowers the sum.

    Args:
        rows: float32 [N, D], finite.
        owner: int64 [N], block of each row, ascending; at least two blocks, all of one size. Not modified.
        steps: swaps to look for.
        rng: proposes swaps.

    Returns:
        int64 [N], block of each row; blocks are as large as before.
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
        # Each goes to the other's block, where the pair itself no longer counts: it is in both sums, hence 2 * between.
        change = sums[other, mine] + sums[one, theirs] - 2 * between - sums[one, mine] - sums[other, theirs]
        best = int(change.argmin())
        if change[best] >= 0:
            continue
        swapped = [int(one[best]), int(other[best])]
        # float64 from here on: the sums take up to 2 N * swaps changes, and errors of float32 would add up.
        near = _score(squares[:, None] + squares[swapped] - 2 * rows @ rows[swapped].T).astype(np.float64)
        near[swapped, [0, 1]] = 0
        first, second = owner[swapped]
        sums[:, first] += near[:, 1] - near[:, 0]
        sums[:, second] += near[:, 0] - near[:, 1]
        owner[swapped] = second, first
    return owner


def _score(squared: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return 1 / (d + 0.01) of squared distances, which rounding may take below 0; 0.01 is the paper's."""
    return 1 / (np.sqrt(np.maximum(squared, 0)) + np.float32(0.01))


def _sums(rows: NDArray[np.float32], squares: NDArray[np.float32], owner: NDArray[np.int64]) -> NDArray[np.float64]:
    """float64 [N, blocks]: the scores of each row with all others of each block, added up."""
    # ``reduceat`` adds up between these starts, which holds while owners ascend, as they do before the first swap.
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
