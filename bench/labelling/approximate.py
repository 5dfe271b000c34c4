"""Approximate nearest neighbours of very many items by faiss's inverted file, with measured recall."""

from __future__ import annotations

from importlib.util import find_spec
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.knn import unit_rows
from bench.labelling.rows import Rows, in_blocks
from bench.parts import Metric
from bench.pool import Neighbors
from bench.progress import Progress

EXACT = 200_000
"""Items up to which all pairs are compared; with more, that takes hours."""
RECALL = 0.95
"""Smallest fraction of the true neighbours that must be found, on average over a sample of items."""
_SAMPLE = 1_000
_FEWEST, _PER_CELL, _SPARE = 8, 39, 16
_CHUNK = 1024


class ApproximateNeighbors(NamedTuple):
    """Neighbours of every row, and their measured quality.

    Attributes:
        neighbors: the neighbours of every row; distances are exact.
        recall: fraction of the true neighbours of 1,000 random rows that was found, in [0, 1].
        probes: cells that were searched for each row.
    """

    neighbors: Neighbors
    recall: float
    probes: int


class Cells:
    """An index of rows in k-means cells, stored in float16; a search visits only the nearest cells.

    Args:
        rows: float32 [N, D], the rows to index; only a sample of them is read here.
        metric: ``cosine`` scales every row to length 1.
        threads: CPU threads.
    """

    def __init__(self, rows: Rows, metric: Metric, *, threads: int) -> None:
        import faiss
        import torch  # noqa: F401  (before faiss: the other order loads two OpenMP runtimes)

        faiss.omp_set_num_threads(threads)
        self._metric, self.scale = metric, 1.0
        if metric == "euclidean":  # float16 ends at 65,504
            self.scale = 1 / max(1e-30, *(float(np.abs(part).max()) for _, part in in_blocks(rows)))
        size, width = rows.shape
        # faiss warns that its k-means has too few rows below 39 rows a cell.
        self.cells = max(1, min(int(4 * np.sqrt(size)), size // _PER_CELL))
        self._index = faiss.IndexIVFScalarQuantizer(
            faiss.IndexFlatL2(width), width, self.cells, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_L2, False
        )
        drawn = np.random.default_rng(0).choice(size, min(size, 2 * _PER_CELL * self.cells), replace=False)
        self._index.train(self.scaled(rows[np.sort(drawn)]))

    def scaled(self, part: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return rows as the index compares them: scaled to length 1, or all divided by the same number."""
        return unit_rows(part) if self._metric == "cosine" else np.ascontiguousarray(part * np.float32(self.scale))

    def add(self, part: NDArray[np.float32]) -> None:
        """Add scaled rows, which are numbered in the order of adding."""
        self._index.add(part)

    def search(self, part: NDArray[np.float32], k: int, probes: int) -> NDArray[np.int64]:
        """Return the numbers of the k rows nearest to each scaled row, nearest first, int64 [B, k]; -1 if too few."""
        self._index.nprobe = min(probes, self.cells)
        nearest: NDArray[np.int64] = self._index.search(part, k)[1]
        return nearest


def worthwhile(size: int) -> bool:
    """Return whether this number of items is searched approximately."""
    return size > EXACT and find_spec("faiss") is not None


def approximate_neighbors(
    rows: Rows, k: int, metric: Metric = "cosine", *, threads: int = 1, progress: Progress | None = None
) -> ApproximateNeighbors:
    """Return most of the k nearest neighbours of every row among the other rows.

    The number of searched cells is doubled until 95 % of the true neighbours of 1,000 random rows are found, or until
    doubling finds no more. The true neighbours come from a comparison with all rows. Rows are read in blocks; the index
    takes 2 bytes per number.

    Args:
        rows: float32 [N, D], finite.
        k: neighbours per row, 1 to N - 1.
        metric: see ``bench.knn.nearest_neighbors``.
        threads: CPU threads of the search.
        progress: called with (rows done, N).
    """
    index = Cells(rows, metric, threads=threads)
    for _, part in in_blocks(rows):
        index.add(index.scaled(part))
    size = len(rows)
    sample = np.sort(np.random.default_rng(1).choice(size, min(size, _SAMPLE), replace=False))
    farthest = _distance_of_last(rows, sample, k, index)
    probes, before = _FEWEST, -1.0
    while True:
        _, distances = _nearest(rows, sample, k, index, probes)
        # Compared by distance and not by number: any of several equally distant rows is right. The slack covers the
        # different rounding of the two computations.
        recall = float((distances <= farthest[:, None] * (1 + 1e-4) + 1e-6).mean())
        # Neighbours that twice the cells did not find are lost to the index's float16; more cells will not help.
        if recall >= RECALL or recall <= before or probes >= index.cells:
            break
        probes, before = 2 * probes, recall
    indices = np.empty((size, k), dtype=np.int64)
    apart = np.empty((size, k), dtype=np.float32)
    for start in range(0, size, _CHUNK):
        chunk = np.arange(start, min(start + _CHUNK, size))
        indices[chunk], distances = _nearest(rows, chunk, k, index, probes)
        apart[chunk] = distances if metric == "cosine" else distances / np.float32(index.scale)
        if progress is not None:
            progress(int(chunk[-1]) + 1, size)
    return ApproximateNeighbors(Neighbors(indices, apart), recall, probes)


def _nearest(
    rows: Rows, chunk: NDArray[np.int64], k: int, index: Cells, probes: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return the k nearest rows that the index finds, and their distances between scaled rows; both [B, k]."""
    queries = index.scaled(rows[chunk])
    # One more for the row itself, and some spare ones since the index ranks in float16.
    count = min(k + 1 + _SPARE, len(rows))
    candidates = index.search(queries, count, probes)
    # If the searched cells contain fewer than k other rows, all cells are searched.
    few = (candidates >= 0).sum(1) <= k
    if few.any():
        candidates[few] = index.search(queries[few], count, index.cells)
    distances = np.empty(candidates.shape, dtype=np.float32)
    for column in range(candidates.shape[1]):
        # From differences: the expanded form that the index uses loses digits between near-duplicates.
        distances[:, column] = np.linalg.norm(index.scaled(rows[candidates[:, column]]) - queries, axis=1)
    distances[(candidates == chunk[:, None]) | (candidates < 0)] = np.inf
    order = np.lexsort((candidates, distances), axis=1)[:, :k]
    return np.take_along_axis(candidates, order, 1), np.take_along_axis(distances, order, 1)


def _distance_of_last(rows: Rows, chunk: NDArray[np.int64], k: int, index: Cells) -> NDArray[np.float32]:
    """Return the distance [B] of some rows to their true k-th neighbours, by comparison with all rows."""
    # float64: in float32 the expanded form loses the digits that tell near-duplicates from copies.
    queries = index.scaled(rows[chunk]).astype(np.float64)
    nearest = np.full((len(chunk), k), np.inf)
    lengths = np.square(queries).sum(1, keepdims=True)
    for inside, part in in_blocks(rows):
        block = index.scaled(part).astype(np.float64)
        squares = lengths - 2 * queries @ block.T + np.square(block).sum(1)
        itself = (chunk >= inside.start) & (chunk < inside.stop)
        squares[itself, chunk[itself] - inside.start] = np.inf
        # Only the k nearest so far are kept, or memory would grow with the number of rows.
        nearest = np.partition(np.concatenate([nearest, squares], axis=1), k - 1, axis=1)[:, :k]
    return np.sqrt(np.maximum(nearest.max(1), 0)).astype(np.float32)
