"""Exact nearest neighbours: by torch on a GPU; on a CPU by faiss if it is installed, and otherwise by torch.

This is the only module that imports faiss. It imports torch first: the other order loads two OpenMP runtimes.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from bench.errors import DataError
from bench.parts import Metric
from bench.pool import Neighbors
from bench.progress import Progress
from bench.units import counted

if TYPE_CHECKING:
    from torch import Tensor

DISTANCES = 2**25
"""Distances that torch holds at once: 128 MB of float32."""
_CHUNK = 4096
"""Queries at a time: enough to keep the matrix product busy, few enough for frequent progress reports."""
_SPARE = 16
"""Rows that faiss is asked for beyond k + 1, to see whether its rounding could have hidden a nearer one."""
_SMALLEST = 1e-15
"""Smallest length of a row for which float32 holds the square, and that of the inverse, to all its digits."""
_HELD = 2**22
"""Distances to all rows that are held at once for the few rows that are searched again."""


def nearest_neighbors(
    embeddings: NDArray[np.float32],
    k: int,
    metric: Metric = "cosine",
    *,
    threads: int = 1,
    device: str = "cpu",
    progress: Progress | None = None,
) -> Neighbors:
    """Find the exact k nearest neighbours of every row among the other rows.

    Both libraries rank by the expanded form of the squared distance, which loses digits between near-duplicates. So the
    distances of the candidates are computed again from the differences and sorted. If the k-th distance is too close
    to those of the rows left out, by the error bound of the expanded form, all rows within that bound are candidates.
    The lists are therefore the same whichever library finds them, even if many distances are equal.

    Args:
        embeddings: float32 [N, D], finite.
        k: neighbours per row, 1 to N - 1.
        metric: ``cosine`` normalises every row to length 1 first (a zero row stays zero).
        threads: CPU threads of the search.
        device: ``cpu`` or ``cuda``; the lists are the same.
        progress: called with (rows done, N).

    Returns:
        indices int64 [N, k] and Euclidean distances float32 [N, k], nearest first, ties by index, self excluded.

    Raises:
        DataError: non-finite embeddings, or k out of range.
    """
    if not np.isfinite(embeddings).all():
        bad = int((~np.isfinite(embeddings).all(1)).sum())
        raise DataError(f"the embeddings of {counted(bad, 'image')} are not finite.")
    size = len(embeddings)
    if not 1 <= k < size:
        raise DataError(f"k={k} neighbours of {size} images: k must lie in 1 to {size - 1}.")
    rows = unit_rows(embeddings) if metric == "cosine" else np.ascontiguousarray(embeddings, dtype=np.float32)
    index = _index(rows, threads, device)
    nearest = np.empty((size, k), dtype=np.int64)
    distances = np.empty((size, k), dtype=np.float32)
    lengths = np.linalg.norm(rows, axis=1)
    # D products are added up, each with one rounding, and none is above (|x| + |y|)^2 in total; a few roundings more
    # for lengths, their sum and the distances themselves.
    rounding = (rows.shape[1] + 8) * np.finfo(np.float32).eps * (lengths + lengths.max()) ** 2
    for start in range(0, size, _CHUNK):
        chunk = np.arange(start, min(start + _CHUNK, size))
        # One more than k, since a row finds itself; or a copy of itself in its place.
        squares, candidates = index.search(rows[chunk], min(k + 1 + _SPARE, size))
        nearest[chunk], distances[chunk] = _exact(rows, chunk, candidates, k)
        # The last candidate is the nearest that is known of all rows left out, up to the rounding of its distance.
        doubtful = distances[chunk, -1] ** 2 >= squares[:, -1] - rounding[chunk]
        left = chunk[doubtful & (candidates.shape[1] < size)]
        at_once = max(1, _HELD // size)
        for again in np.split(left, range(at_once, len(left), at_once)):
            if len(again):
                reach = distances[again, -1] ** 2 + rounding[again]
                nearest[again], distances[again] = _exact(rows, again, _within(rows, lengths, again, reach), k)
        if progress is not None:
            progress(int(chunk[-1]) + 1, size)
    return Neighbors(nearest, distances)


class _Index(Protocol):
    def search(self, queries: NDArray[np.float32], k: int, /) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return squared distances, in the expanded form, and positions, [B, k], nearest first."""
        ...


def _index(rows: NDArray[np.float32], threads: int, device: str) -> _Index:
    import torch  # noqa: F401  (before faiss, see above)

    # The faiss of the package registries knows no GPU.
    if device != "cpu" or find_spec("faiss") is None:
        return _TorchIndex(rows, device)
    import faiss

    # Global to the process, so it is set for every search.
    faiss.omp_set_num_threads(threads)
    index: _Index = faiss.IndexFlatL2(rows.shape[1])
    index.add(rows)  # type: ignore[attr-defined]
    return index


class _TorchIndex:
    """Brute force; the matrix of distances is held for a part of the queries at a time."""

    def __init__(self, rows: NDArray[np.float32], device: str) -> None:
        import torch

        self._rows = torch.from_numpy(rows).to(device)
        self._squares = self._rows.square().sum(1)

    def search(self, queries: NDArray[np.float32], k: int, /) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """See ``_Index``."""
        import torch

        at_once = max(1, DISTANCES // len(self._rows))
        results = [self._nearest(part, k) for part in torch.from_numpy(queries).to(self._rows.device).split(at_once)]
        squares, positions = (torch.cat(parts).cpu().numpy() for parts in zip(*results, strict=True))
        return squares, positions

    def _nearest(self, queries: Tensor, k: int) -> tuple[Tensor, Tensor]:
        distances = self._squares - 2 * queries @ self._rows.T + queries.square().sum(1, keepdim=True)
        best = distances.topk(k, largest=False)
        return best.values, best.indices


def unit_rows(embeddings: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return the embeddings with every row scaled to length 1.

    Args:
        embeddings: [N, D], finite. Not modified.

    Returns:
        float32 [N, D]; a zero row stays zero.
    """
    with np.errstate(over="ignore"):
        norms = np.linalg.norm(embeddings, axis=1, keepdims=True)
    extreme = ~((norms > _SMALLEST) & (norms < 1 / _SMALLEST)).ravel()
    if extreme.any():
        # Squares of such numbers leave the range of float32; scaled by their largest they do not.
        embeddings = embeddings.astype(np.float64)
        largest = np.abs(embeddings[extreme]).max(axis=1, keepdims=True, initial=0)
        embeddings[extreme] /= np.where(largest == 0, 1, largest)
        norms = norms.astype(np.float64)
        norms[extreme] = np.linalg.norm(embeddings[extreme], axis=1, keepdims=True)
    # Zero rows are divided by 1: they stay zero, where 0 / 0 would be NaN and end every search.
    return np.ascontiguousarray(embeddings / np.where(norms == 0, 1, norms), dtype=np.float32)


def _within(
    rows: NDArray[np.float32], lengths: NDArray[np.float32], queries: NDArray[np.int64], reach: NDArray[np.float32]
) -> NDArray[np.int64]:
    """Return all rows within the squared distances ``reach`` [B] of the queries, [B, M], padded with the query."""
    squares = lengths[queries, None] ** 2 + lengths**2 - 2 * (rows[queries] @ rows.T)
    # Not ``<=``: a square that overflows to NaN must not leave its row out.
    number, position = np.nonzero(~(squares > reach[:, None]))
    counts = np.bincount(number, minlength=len(queries))
    candidates = np.repeat(queries[:, None], counts.max(), axis=1)
    candidates[number, np.arange(len(number)) - np.repeat(counts.cumsum() - counts, counts)] = position
    return candidates


def _exact(
    rows: NDArray[np.float32], chunk: NDArray[np.int64], candidates: NDArray[np.int64], k: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return the k nearest of ``candidates`` [B, more than k] by true distance, self left out."""
    distances = np.empty(candidates.shape, dtype=np.float32)
    # Column by column: all differences at once would be [B, k, D].
    for column in range(candidates.shape[1]):
        distances[:, column] = np.linalg.norm(rows[candidates[:, column]] - rows[chunk], axis=1)
    # By its index and not as the first: a copy may come before the row itself.
    distances[candidates == chunk[:, None]] = np.inf
    # The last key sorts first: by distance, ties by index, so that every library gives one list.
    order = np.lexsort((candidates, distances), axis=1)[:, :k]
    return np.take_along_axis(candidates, order, 1), np.take_along_axis(distances, order, 1)
