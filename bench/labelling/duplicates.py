"""Near-duplicates: of images that look almost the same, one is enough to label."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench.knn import unit_rows
from bench.labelling.approximate import Cells, worthwhile
from bench.labelling.rows import Rows, in_blocks
from bench.progress import Progress

_BLOCK = 1024
"""Items that are compared with all that stay at a time."""
_PROBES = 16
"""Cells that an item is looked for in where there are very many."""
_PAIRS = 65_536
"""Pairs whose differences are held at once."""
_ROUNDING = 1e-4
"""More than a product of unit rows in float32 may lie from their cosine; what is that near is looked at twice."""


def without_duplicates(
    embeddings: Rows, similarity: float, *, threads: int = 1, progress: Progress | None = None
) -> NDArray[np.int64]:
    """Go through the items in order, and leave out each that is nearly the same as an earlier one that stays.

    An item is left out because of one that stays, never because of one that is left out itself: in a burst of pictures
    that drift apart, the first stays and so does the first that no longer resembles it. Of more than 200,000 items a
    few near-duplicates may be missed (``bench.labelling.approximate``; measured in benchmarks/).

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

    with threadpool_limits(threads):
        kept = _InCells(embeddings, threads) if worthwhile(len(embeddings)) else _Kept(embeddings)
        for inside, part in in_blocks(embeddings, _BLOCK):
            block = unit_rows(part)
            new = ~kept.resembled(block, similarity)
            for row in np.flatnonzero(new):
                if new[row]:
                    # Within the block one by one: an item that falls must not take others with it.
                    later = row + 1 + np.flatnonzero(new[row + 1 :])
                    new[later] = ~_resembles(block[later], block[row : row + 1], similarity)
            kept.add(inside.start + np.flatnonzero(new), block[new])
            if progress is not None:
                progress(inside.stop, len(embeddings))
    return np.concatenate(kept.positions)


class _Kept:
    """Items that stay, in the order in which they came."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        self.positions: list[NDArray[np.int64]] = []

    def add(self, positions: NDArray[np.int64], units: NDArray[np.float32]) -> None:
        """Add items by their positions, and rows of length 1."""
        self.positions.append(positions)

    def resembled(self, units: NDArray[np.float32], similarity: float) -> NDArray[np.bool_]:
        """Which of some rows of length 1 are near-duplicates of any that stays, bool [B]; all are compared."""
        resembling = np.zeros(len(units), dtype=bool)
        for positions in self.positions:
            left = np.flatnonzero(~resembling)
            resembling[left] = _resembles(units[left], unit_rows(self.rows[positions]), similarity)
        return resembling


class _InCells(_Kept):
    """The same for very many: an item is compared with the nearest that its next few cells hold."""

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
        # The nearest alone: if that one is not similar enough, none is.
        nearest = self._cells.search(units, 1, _PROBES)[:, 0]
        there = np.flatnonzero(nearest >= 0)
        stay = unit_rows(self.rows[np.concatenate(self.positions)[nearest[there]]])
        close = np.linalg.norm(units[there] - stay, axis=1) <= _distance(similarity)
        # Rows of zeros are the same as each other, as the public function promises.
        resembling[there] = np.where(units[there].any(axis=1), close & stay.any(axis=1), ~stay.any(axis=1))
        return resembling


def _resembles(rows: NDArray[np.float32], stay: NDArray[np.float32], similarity: float) -> NDArray[np.bool_]:
    """Which of some unit rows are near-duplicates of any that stays, bool [len(rows)].

    Products in float32 only say which pairs may be: near 1 they cannot tell 0.9999999 from 1, so distances decide.
    """
    resembling = np.zeros(len(rows), dtype=bool)
    if not len(rows) or not len(stay):
        return resembling
    one, other = np.nonzero(rows @ stay.T >= similarity - _ROUNDING)
    for at in range(0, len(one), _PAIRS):
        here, there = one[at : at + _PAIRS], other[at : at + _PAIRS]
        apart = np.linalg.norm(rows[here] - stay[there], axis=1)
        resembling[here[apart <= _distance(similarity)]] = True
    if not stay.any(axis=1).all():
        resembling |= ~rows.any(axis=1)
    return resembling


def _distance(similarity: float) -> float:
    """Between unit vectors: |a - b|^2 = 2 - 2 a.b; the slack covers the rounding of float32."""
    return float(np.sqrt(max(0.0, 2 - 2 * similarity))) + 1e-6
