"""Near-duplicates: of images that look almost the same, one is enough to label."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench.knn import unit_rows
from bench.underway import Progress

_BLOCK = 1024
"""Items that are compared with all that stay at a time."""
_PAIRS = 65_536
"""Pairs whose differences are held at once."""
_ROUNDING = 1e-4
"""More than a product of unit rows in float32 may lie from their cosine; what is that near is looked at twice."""


def without_duplicates(
    embeddings: NDArray[np.float32], similarity: float, *, threads: int = 1, progress: Progress | None = None
) -> NDArray[np.int64]:
    """Go through the items in order, and leave out each that is nearly the same as an earlier one that stays.

    An item is left out because of one that stays, never because of one that is left out itself: in a burst of pictures
    that drift apart, the first stays and so does the first that no longer resembles it.

    Args:
        embeddings: float32 [N, D], finite.
        similarity: cosine similarity from which two items count as the same, in (0, 1]. Rows of zeros, which have no
            direction, are the same as each other and as nothing else.
        threads: CPU threads.
        progress: called with (items compared, N).

    Returns:
        int64, ascending positions of the items that stay: no two of them are that similar, and each of the others is
        that similar to an earlier one that stays.
    """
    from threadpoolctl import threadpool_limits

    rows = unit_rows(embeddings)
    kept = np.empty_like(rows)
    positions: list[int] = []
    with threadpool_limits(threads):
        for start in range(0, len(rows), _BLOCK):
            block = rows[start : start + _BLOCK]
            new = ~_resembles(block, kept[: len(positions)], similarity)
            for place in np.flatnonzero(new):
                if new[place]:
                    kept[len(positions)] = block[place]
                    positions.append(start + int(place))
                    later = place + 1 + np.flatnonzero(new[place + 1 :])
                    new[later] = ~_resembles(block[later], block[place : place + 1], similarity)
            if progress is not None:
                progress(start + len(block), len(rows))
    return np.array(positions, dtype=np.int64)


def _resembles(rows: NDArray[np.float32], stay: NDArray[np.float32], similarity: float) -> NDArray[np.bool_]:
    """Which of some unit rows are near-duplicates of any that stays, bool [len(rows)].

    Products in float32 only say which pairs may be: near 1 they cannot tell 0.9999999 from 1, so distances decide.
    """
    found = np.zeros(len(rows), dtype=bool)
    if not len(rows) or not len(stay):
        return found
    for start in range(0, len(stay), _BLOCK):
        part = stay[start : start + _BLOCK]
        one, other = np.nonzero((rows @ part.T >= similarity - _ROUNDING) & ~found[:, None])
        for at in range(0, len(one), _PAIRS):
            here, there = one[at : at + _PAIRS], other[at : at + _PAIRS]
            apart = np.linalg.norm(rows[here] - part[there], axis=1)
            found[here[apart <= _distance(similarity)]] = True
    if not stay.any(axis=1).all():
        found |= ~rows.any(axis=1)
    return found


def _distance(similarity: float) -> float:
    """Between unit vectors: |a - b|^2 = 2 - 2 a.b; the slack covers the rounding of float32."""
    return float(np.sqrt(max(0.0, 2 - 2 * similarity))) + 1e-6
