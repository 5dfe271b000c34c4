"""A pool of given arrays, without cache, encoder or training: for tests, notebooks and checks of outside methods."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from bench.calls import Call
from bench.data import Images, private
from bench.dynamics import Dynamics
from bench.errors import DataError
from bench.judging.rule import Judge
from bench.plugins import methods
from bench.pool import Metric, Neighbors, Outputs, Targets
from bench.quantities import counted

Part = TypeVar("Part")
_CELLS = 2**20
"""Distances held at once by the neighbour search."""


@dataclass(frozen=True)
class ArraySource:
    """Implements ``PoolSource`` from arrays; a part that was not given raises ``DataError``.

    Every array it hands out is a read-only copy, so that a method cannot edit the caller's data. The keywords of
    ``pseudo_labels`` and ``dynamics`` that name a clustering are ignored: there is one.

    Attributes:
        image_array: uint8 [N, C, H, W].
        embedding_array: float32 [N, D].
        label_array: int64 [N].
        pseudo_label_array: int64 [N].
        dynamics_labels: of a proxy trained on true labels.
        dynamics_pseudo: of a proxy trained on pseudo-labels.
        rehearsal: int64 indices -> agreement in [0, 1], as ``Pool.rehearse``.
        judging: int64 indices -> accuracy in [0, 1], as ``Pool.judge`` of one coreset.
        gradient_norm_array: float32 [N].
        network: (embeddings [N, D], indices int64 [m], their labels int64 [m]) -> what it says of the pool, as
            ``Pool.outputs``; it is given no other label.
    """

    image_array: Images | None = None
    embedding_array: NDArray[np.float32] | None = None
    label_array: NDArray[np.int64] | None = None
    pseudo_label_array: NDArray[np.int64] | None = None
    dynamics_labels: Dynamics | None = None
    dynamics_pseudo: Dynamics | None = None
    rehearsal: Callable[[NDArray[np.int64]], float] | None = None
    judging: Callable[[NDArray[np.int64]], float] | None = None
    gradient_norm_array: NDArray[np.float32] | None = None
    network: Callable[[NDArray[np.float32], NDArray[np.int64], NDArray[np.int64]], Outputs] | None = None

    def images(self) -> Images:
        """uint8 [N, C, H, W]."""
        images = cast("Images", _given("image_array", self.image_array))
        return private(images) if isinstance(images, np.ndarray) else images

    def embeddings(self) -> NDArray[np.float32]:
        """float32 [N, D]."""
        return private(_given("embedding_array", self.embedding_array))

    def neighbors(self, k: int, metric: Metric) -> Neighbors:
        """Exact neighbours by brute force (``brute_force_neighbors``)."""
        found = brute_force_neighbors(_given("embedding_array", self.embedding_array), k, metric)
        return Neighbors(private(found.indices), private(found.distances))

    def pseudo_labels(self, **clustering: Any) -> NDArray[np.int64]:
        """int64 [N]."""
        return private(_given("pseudo_label_array", self.pseudo_label_array))

    def dynamics(self, of: Targets, **clustering: Any) -> Dynamics:
        """The given dynamics of that proxy."""
        given = self.dynamics_labels if of == "labels" else self.dynamics_pseudo
        found = _given(f"dynamics_{of}", given)
        arrays = {name: private(array) for name, array in found.arrays().items() if name != "epochs"}
        return replace(found, **arrays)  # type: ignore[arg-type]

    def rehearse(self, indices: NDArray[np.int64], **clustering: Any) -> float:
        """The given function's answer."""
        return _given("rehearsal", self.rehearsal)(indices)

    def judge(self, candidates: Sequence[NDArray[np.int64]], by: Judge) -> NDArray[np.float64]:
        """The given function's answers, whichever judge is asked for."""
        judging = _given("judging", self.judging)
        return np.array([judging(indices) for indices in candidates], dtype=np.float64)

    def coreset(self, method: Call, *, budget: int, rate: float, num_classes: int, seed: int) -> NDArray[np.int64]:
        """Select by the other method from a pool of the same arrays."""
        from bench.selection import method_pool, run_method

        entry, size = methods.get(method.name), len(_given("embedding_array", self.embedding_array))
        pool = method_pool(entry, method.params, self, size=size, num_classes=num_classes, rate=rate, seed=seed)
        return private(run_method(entry, pool, method.params, budget, seed))

    def gradient_norms(self, **options: Any) -> NDArray[np.float32]:
        """float32 [N]."""
        return private(_given("gradient_norm_array", self.gradient_norm_array))

    def outputs(self, indices: NDArray[np.int64]) -> Outputs:
        """What the given network says after training on these images."""
        network = _given("network", self.network)
        return Outputs(*map(private, network(self.embeddings(), indices, self.reveal(indices))))

    def reveal(self, indices: NDArray[np.int64]) -> NDArray[np.int64]:
        """int64 [m] labels of these images."""
        return _given("label_array", self.label_array)[indices]

    def labels(self) -> NDArray[np.int64]:
        """int64 [N]."""
        return private(_given("label_array", self.label_array))


def brute_force_neighbors(embeddings: NDArray[np.floating], k: int, metric: Metric = "cosine") -> Neighbors:
    """Exact k nearest neighbours from all pairwise differences, a few rows at a time.

    Slower than ``bench.knn`` and independent of it; distances come from differences, so copies are exactly 0 apart.

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
        rows /= np.where(norms == 0, 1, norms)
    indices = np.empty((size, k), dtype=np.int64)
    distances = np.empty((size, k), dtype=np.float32)
    step = max(1, _CELLS // max(size, 1))
    for start in range(0, size, step):
        chunk = np.arange(start, min(start + step, size))
        apart = cdist(rows[chunk], rows).astype(np.float32)
        apart[np.arange(len(chunk)), chunk] = np.inf
        indices[chunk] = np.argsort(apart, axis=1, kind="stable")[:, :k]
        distances[chunk] = np.take_along_axis(apart, indices[chunk], 1)
    return Neighbors(indices, distances)


def _given(name: str, part: Part | None) -> Part:
    if part is None:
        raise DataError(f"this ArraySource was made without {name}; pass {name}=... to give the pool that part.")
    return part
