"""Near-duplicates: one of several images that look almost the same is enough to label."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench.knn import unit_rows
from bench.labelling.approximate import Cells, worthwhile
from bench.labelling.rows import Rows, in_blocks
from bench.progress import Progress

_BLOCK = 1024
"""Items that are compared with the kept ones at a time."""
_PROBES = 16
"""Cells that are searched for each item in a very large pool."""
_PAIRS = 65_536
"""Pairs whose differences are in memory at once."""
_ROUNDING = 1e-4
"""Bound on the error of a float32 product of unit rows; pairs this close to the threshold are compared exactly."""


def without_duplicates(
    embeddings: Rows, similarity: float, *, threads: int = 1, progress: Progress | None = None
) -> NDArray[np.int64]:
    """Return the items without near-duplicates: each is left out that nearly equals an earlier kept item.

    Items are compared only with kept items. In a burst of pictures that drift apart, the first is kept, and so is the
    first that no longer resembles it. With more than 200,000 items, a few near-duplicates may be missed
    (``bench.labelling.approximate``; measured in benchmarks/).

    Args:
        embeddings: float32 [N, D], finite.
        similarity: cosine similarity from which two items count as the same, in (0, 1]. Rows of zeros, which have no
            direction, are the same as each other and as nothing else.
        threads: CPU threads.
        progress: called with (items compared, N).

    Returns:
        int64, ascending positions of the kept items. No two kept items are that similar, and every other item is that
        similar to an earlier kept one.
    """
    from threadpoolctl import threadpool_limits

    with threadpool_limits(threads):
        kept = _InCells(embeddings, threads) if worthwhile(len(embeddings)) else _Kept(embeddings)
        for inside, part in in_blocks(embeddings, _BLOCK):
            block = unit_rows(part)
            new = ~kept.resembled(block, similarity)
            for row in np.flatnonzero(new):
                if new[row]:
                    # One by one inside the block: an item that is left out must not exclude others.
                    later = row + 1 + np.flatnonzero(new[row + 1 :])
                    new[later] = ~_resembles(block[later], block[row : row + 1], similarity)
            kept.add(inside.start + np.flatnonzero(new), block[new])
            if progress is not None:
                progress(inside.stop, len(embeddings))
    return np.concatenate(kept.positions)


class _Kept:
    """Kept items, in the order of adding."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        self.positions: list[NDArray[np.int64]] = []

    def add(self, positions: NDArray[np.int64], units: NDArray[np.float32]) -> None:
        """Add items by their positions and unit rows."""
        self.positions.append(positions)

    def resembled(self, units: NDArray[np.float32], similarity: float) -> NDArray[np.bool_]:
        """Return which unit rows are near-duplicates of a kept item, bool [B]; all pairs are compared."""
        resembling = np.zeros(len(units), dtype=bool)
        for positions in self.positions:
            left = np.flatnonzero(~resembling)
            resembling[left] = _resembles(units[left], unit_rows(self.rows[positions]), similarity)
        return resembling


class _InCells(_Kept):
    """Kept items of a very large pool: an item is compared with the nearest one in a few cells."""

    def __init__(self, rows: Rows, threads: int) -> None:
        super().__init__(rows)
        self._cells = Cells(rows, "cosine", threads=threads)

    def add(self, positions: NDArray[np.int64], units: NDArray[np.float32]) -> None:
        super().add(positions, units)
        self._cells.add(units)

    def resembled(self, units: NDArray[np.float32], similarity: float) -> NDArray[np.bool_]:
        resembling = np.zeros(len(units), dtype=bool)
        if not self.positions:
            return resembling
        # Only the nearest: if it is not similar enough, none is.
        nearest = self._cells.search(units, 1, _PROBES)[:, 0]
        matched = np.flatnonzero(nearest >= 0)
        kept = unit_rows(self.rows[np.concatenate(self.positions)[nearest[matched]]])
        close = np.linalg.norm(units[matched] - kept, axis=1) <= _distance(similarity)
        # Rows of zeros are the same as each other, as ``without_duplicates`` promises.
        resembling[matched] = np.where(units[matched].any(axis=1), close & kept.any(axis=1), ~kept.any(axis=1))
        return resembling


def _resembles(rows: NDArray[np.float32], kept: NDArray[np.float32], similarity: float) -> NDArray[np.bool_]:
    """Return which unit rows are near-duplicates of any kept one, bool [len(rows)].

    Float32 products only find pairs that may be near-duplicates: near 1 they cannot tell 0.9999999 from 1. Distances
    decide.
    """
    resembling = np.zeros(len(rows), dtype=bool)
    if not len(rows) or not len(kept):
        return resembling
    row_numbers, kept_numbers = np.nonzero(rows @ kept.T >= similarity - _ROUNDING)
    for start in range(0, len(row_numbers), _PAIRS):
        left, right = row_numbers[start : start + _PAIRS], kept_numbers[start : start + _PAIRS]
        apart = np.linalg.norm(rows[left] - kept[right], axis=1)
        resembling[left[apart <= _distance(similarity)]] = True
    if not kept.any(axis=1).all():
        resembling |= ~rows.any(axis=1)
    return resembling


def _distance(similarity: float) -> float:
    """Return the distance of unit vectors of this cosine, |a - b|^2 = 2 - 2 a.b.

    The slack covers float32 rounding: embeddings of two copies of a file, in other batches, were 1.6e-6 apart
    (efficientnet_lite0 on a CPU, n = 1 picture, 2026-11-29).
    """
    return float(np.sqrt(max(0.0, 2 - 2 * similarity))) + 1e-5
