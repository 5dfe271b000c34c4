"""A pool made of arrays, without cache, encoder or training: for tests, notebooks and checks of outside methods."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from bench.data import private
from bench.dynamics import Dynamics
from bench.errors import DataError
from bench.grammar import parse_call
from bench.parts import CORESET, JUDGE, NEIGHBORS, OUTPUTS, Chosen, Metric, Part, PartArrays, Value
from bench.plugins import methods
from bench.pool import NOTHING, Asked, Neighbors
from bench.units import counted

Item = TypeVar("Item")
_DISTANCES_AT_ONCE = 2**20
"""Distances that the neighbour search holds at once."""


class ArraySource(PartArrays):
    """A ``PoolSource`` that serves the given arrays; reading a part that was not given raises ``DataError``.

    Every array it hands out is a read-only copy, so that a method cannot edit the caller's data. Options that name a
    clustering, a judge or a training are ignored, since there is one array for each part.
    """

    def read(self, part: Part[Chosen, Value], options: Chosen, asked: Asked = NOTHING) -> Value:
        """Return the part: the given array, or what is computed from the given arrays."""
        makers = {NEIGHBORS.name: self._neighbors, JUDGE.name: self._judge, CORESET.name: self._coreset}
        if maker := {**makers, OUTPUTS.name: self._outputs}.get(part.name):
            return cast("Value", maker(options, asked))
        name = part.array_of(options)
        return cast("Value", _copied(_required(name, getattr(self, name)), asked))

    def embeddings(self) -> NDArray[np.float32]:
        """Return the embeddings, float32 [N, D]."""
        return private(_required("embedding_array", self.embedding_array))

    def reveal(self, indices: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the labels of these images, int64 [m]."""
        return _required("label_array", self.label_array)[indices]

    def labels(self) -> NDArray[np.int64]:
        """Return all labels, int64 [N]."""
        return private(_required("label_array", self.label_array))

    def _neighbors(self, options: Any, asked: Asked) -> Neighbors:
        embeddings = _required("embedding_array", self.embedding_array)
        nearest = brute_force_neighbors(embeddings, options.k, options.metric)
        return Neighbors(private(nearest.indices), private(nearest.distances))

    def _judge(self, options: Any, asked: Asked) -> NDArray[np.float64]:
        judging = _required("judging", self.judging)
        return np.array([judging(indices) for indices in asked.indices], dtype=np.float64)

    def _coreset(self, options: Any, asked: Asked) -> NDArray[np.int64]:
        """Return the coreset of the other method, run on a pool of the same arrays."""
        from bench.selection import method_pool, run_method

        call, size = parse_call(options.method), len(_required("embedding_array", self.embedding_array))
        entry = methods.get(call.name)
        pool = method_pool(
            entry, call.params, self, size=size, num_classes=asked.num_classes, rate=asked.rate, seed=asked.seed
        )
        coreset = run_method(entry, pool, call.params, asked.budget, asked.seed)
        return private(coreset.without_weights(call.name, "pool.coreset"))

    def _outputs(self, options: Any, asked: Asked) -> Any:
        """Return the given network's outputs after training on the revealed images, or on the whole pool."""
        network, [revealed] = _required("network", self.network), asked.indices
        indices = revealed if options.on == "revealed" else np.arange(len(self.embeddings()))
        outputs = network(self.embeddings(), indices, self.reveal(indices))
        return type(outputs)(*map(private, outputs))


def brute_force_neighbors(embeddings: NDArray[np.floating], k: int, metric: Metric = "cosine") -> Neighbors:
    """Return the exact k nearest neighbours, found from all pairwise differences, a few rows at a time.

    It is slower than ``bench.knn`` and independent of it. Distances come from differences, so that copies are exactly
    0 apart.

    Args:
        embeddings: [N, D], finite.
        k: neighbours per image, 0 to N - 1.
        metric: ``cosine`` normalises every row to length 1 first (a zero row stays zero).

    Returns:
        indices int64 [N, k] and Euclidean distances float32 [N, k], nearest first, ties by index, self excluded.

    Raises:
        DataError: an embedding is not finite, or k is out of range.
    """
    from scipy.spatial.distance import cdist

    size = len(embeddings)
    if not np.isfinite(embeddings).all():
        bad = int((~np.isfinite(embeddings).all(1)).sum())
        raise DataError(f"the embeddings of {counted(bad, 'image')} are not finite.")
    if not 0 <= k < max(size, 1):
        raise DataError(f"k={k} neighbours of {size} images: k must lie in 0 to {max(size - 1, 0)}.")
    rows = embeddings.astype(np.float64)
    if metric == "cosine":
        norms = np.linalg.norm(rows, axis=1, keepdims=True)
        # A row of zeros has no direction, and stays what it is.
        rows /= np.where(norms == 0, 1, norms)
    indices = np.empty((size, k), dtype=np.int64)
    distances = np.empty((size, k), dtype=np.float32)
    # An empty pool is valid: it has no neighbours.
    step = max(1, _DISTANCES_AT_ONCE // max(size, 1))
    for start in range(0, size, step):
        chunk = np.arange(start, min(start + step, size))
        pairwise = cdist(rows[chunk], rows).astype(np.float32)
        # Infinitely far from itself: a copy at distance 0 must come first, not the image.
        pairwise[np.arange(len(chunk)), chunk] = np.inf
        # The bits of floats of at least 0 are in the order of the floats; the index below them breaks ties.
        keys = (pairwise.view(np.uint32).astype(np.int64) << 32) | np.arange(size)
        nearest = np.sort(np.partition(keys, max(k - 1, 0), axis=1)[:, :k], axis=1)
        indices[chunk] = nearest & 0xFFFFFFFF
        distances[chunk] = np.take_along_axis(pairwise, indices[chunk], 1)
    return Neighbors(indices, distances)


def _required(name: str, value: Item | None) -> Item:
    if value is None:
        raise DataError(f"this ArraySource was made without {name}; pass {name}=... to give the pool that part.")
    return value


def _copied(part: Any, asked: Asked) -> Any:
    """Return a private copy of an array or of dynamics, a function's result, or images in files as they are."""
    if isinstance(part, np.ndarray):
        return private(part)
    if isinstance(part, Dynamics):
        arrays = {name: private(array) for name, array in part.arrays().items() if name != "epochs"}
        return replace(part, **arrays)  # type: ignore[arg-type]
    return part(*asked.indices) if callable(part) else part
