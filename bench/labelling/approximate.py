"""Nearest neighbours of very many items, found approximately by faiss's inverted file, with the recall measured."""

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
"""Items up to which all pairs are compared; beyond, that takes hours."""
RECALL = 0.95
"""Least part of the true neighbours that is found, on average over the items that are looked at."""
_LOOKED_AT = 1_000
_FEWEST, _PER_CELL, _SPARE = 8, 39, 16
_CHUNK = 1024


class Found(NamedTuple):
    """Neighbours, and how good they are.

    Attributes:
        neighbors: of every row; distances are exact.
        recall: part of the true neighbours of 1,000 random rows that was found, in [0, 1].
        probes: cells that were searched for each row.
    """

    neighbors: Neighbors
    recall: float
    probes: int


class Cells:
    """Rows sorted into k-means cells, of which a search looks at the nearest few; they are held in float16.

    Args:
        rows: float32 [N, D], what the cells are made for; a part of it is read.
        metric: ``cosine`` scales every row to length 1.
        threads: CPU threads.
        seed: draws the rows by which the cells are made.
    """

    def __init__(self, rows: Rows, metric: Metric, *, threads: int, seed: int = 0) -> None:
        import faiss
        import torch  # noqa: F401  (before faiss: the other order loads two OpenMP runtimes)

        faiss.omp_set_num_threads(threads)
        self._metric, self.scale = metric, 1.0
        if metric == "euclidean":  # float16 ends at 65,504
            self.scale = 1 / max(1e-30, *(float(np.abs(part).max()) for _, part in in_blocks(rows)))
        size, width = rows.shape
        # faiss asks for 39 rows a cell at least, or says that its k-means has too few.
        self.cells = max(1, min(int(4 * np.sqrt(size)), size // _PER_CELL))
        self._index = faiss.IndexIVFScalarQuantizer(
            faiss.IndexFlatL2(width), width, self.cells, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_L2, False
        )
        drawn = np.random.default_rng(seed).choice(size, min(size, 2 * _PER_CELL * self.cells), replace=False)
        self._index.train(self.scaled(rows[np.sort(drawn)]))

    def scaled(self, part: NDArray[np.float32]) -> NDArray[np.float32]:
        """Rows as they are compared: of length 1, or divided by one number for all."""
        return unit_rows(part) if self._metric == "cosine" else np.ascontiguousarray(part * np.float32(self.scale))

    def add(self, part: NDArray[np.float32]) -> None:
        """Add rows that are scaled already; they are numbered in the order in which they come."""
        self._index.add(part)

    def search(self, part: NDArray[np.float32], k: int, probes: int) -> NDArray[np.int64]:
        """Numbers of the k rows nearest to each of some scaled rows, nearest first, int64 [B, k]; -1 where too few."""
        self._index.nprobe = min(probes, self.cells)
        nearest: NDArray[np.int64] = self._index.search(part, k)[1]
        return nearest


def worthwhile(size: int) -> bool:
    """Whether so many items are searched approximately."""
    return size > EXACT and find_spec("faiss") is not None


def approximate_neighbors(
    rows: Rows, k: int, metric: Metric = "cosine", *, threads: int = 1, progress: Progress | None = None
) -> Found:
    """Find most of the k nearest neighbours of every row among the other rows.

    The number of cells that are searched is doubled until at least 95 % of the true neighbours of 1,000 random rows are
    found, or no more are; these are known from a comparison with all rows. Only blocks of the rows are read; the index
    holds 2 bytes a number.

    Args:
        rows: float32 [N, D], finite.
        k: neighbours per row, 1 to N - 1.
        metric: as ``bench.knn.nearest_neighbors`` takes it.
        threads: CPU threads of the search.
        progress: called with (rows done, N).
    """
    index = Cells(rows, metric, threads=threads)
    for _, part in in_blocks(rows):
        index.add(index.scaled(part))
    size = len(rows)
    looked_at = np.sort(np.random.default_rng(1).choice(size, min(size, _LOOKED_AT), replace=False))
    farthest = _distance_of_last(rows, looked_at, k, index)
    probes, before = _FEWEST, -1.0
    while True:
        _, distances = _nearest(rows, looked_at, k, index, probes)
        # By distance and not by number: of rows that are equally far any will do. The slack is the rounding of the two
        # ways of computing it.
        recall = float((distances <= farthest[:, None] * (1 + 1e-4) + 1e-6).mean())
        # What twice the cells did not bring is missed by the index's float16, and no more cells bring it.
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
    return Found(Neighbors(indices, apart), recall, probes)


def _nearest(
    rows: Rows, chunk: NDArray[np.int64], k: int, index: Cells, probes: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return the k nearest of what the index finds, and their distances as the rows are scaled; [B, k]."""
    queries = index.scaled(rows[chunk])
    # One more for the row itself, and a few since the index ranks by float16.
    wanted = min(k + 1 + _SPARE, len(rows))
    candidates = index.search(queries, wanted, probes)
    # The cells that were looked at may hold fewer than k others; then all are looked at.
    few = (candidates >= 0).sum(1) <= k
    if few.any():
        candidates[few] = index.search(queries[few], wanted, index.cells)
    distances = np.empty(candidates.shape, dtype=np.float32)
    for column in range(candidates.shape[1]):
        # By the differences: the expanded form that an index ranks by loses digits between near-duplicates.
        distances[:, column] = np.linalg.norm(index.scaled(rows[candidates[:, column]]) - queries, axis=1)
    distances[(candidates == chunk[:, None]) | (candidates < 0)] = np.inf
    order = np.lexsort((candidates, distances), axis=1)[:, :k]
    return np.take_along_axis(candidates, order, 1), np.take_along_axis(distances, order, 1)


def _distance_of_last(rows: Rows, chunk: NDArray[np.int64], k: int, index: Cells) -> NDArray[np.float32]:
    """Distance [B] of the true k-th neighbour of some rows, by comparison with all others."""
    # In float64: in float32 the expanded form loses the digits that tell near-duplicates from copies.
    queries = index.scaled(rows[chunk]).astype(np.float64)
    nearest = np.full((len(chunk), k), np.inf)
    lengths = np.square(queries).sum(1, keepdims=True)
    for inside, part in in_blocks(rows):
        block = index.scaled(part).astype(np.float64)
        squares = lengths - 2 * queries @ block.T + np.square(block).sum(1)
        own = (chunk >= inside.start) & (chunk < inside.stop)
        squares[own, chunk[own] - inside.start] = np.inf
        # Only the k best so far are kept, or memory would grow with the number of rows.
        nearest = np.partition(np.concatenate([nearest, squares], axis=1), k - 1, axis=1)[:, :k]
    return np.sqrt(np.maximum(nearest.max(1), 0)).astype(np.float32)
