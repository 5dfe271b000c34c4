"""Nearest neighbours of the pool's embeddings."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from bench.pool import Metric
from bench.stages.embeddings import Embeddings, OnEmbeddings
from bench.stages.memory import PROCESS, Estimate, Shape

if TYPE_CHECKING:
    from bench.data import Arrays
    from bench.stages.session import Session
    from bench.underway import Progress

SHARED_NEIGHBORS = 50
"""Length of the lists that all shorter requests are cut from: ELFS's number, the largest default of any method."""


class NeighborLists(OnEmbeddings):
    """Exact nearest neighbours of the pool's embeddings."""

    kind: ClassVar[str] = "neighbors"
    version: ClassVar[int] = 2
    k: int
    metric: Metric

    def title(self) -> str:
        source = self.embeddings
        return f"{self.k} {self.metric} neighbours in {source.encoder.label} of {source.dataset.label}"

    def estimate(self, shape: Shape, device: str) -> Estimate:
        """N k 12 bytes on disk; in memory beside them the embeddings as read, normalised, and in the index."""
        lists = shape.train * self.k * 12
        return Estimate(PROCESS + 3 * shape.embeddings + 2 * lists, lists)

    def compute(self, session: Session, progress: Progress) -> Arrays:
        """``indices`` int64 and ``distances`` float32, each [N, k]."""
        from bench.knn import nearest_neighbors

        embeddings = session.arrays(self.embeddings)["embeddings"]
        found = nearest_neighbors(embeddings, self.k, self.metric, threads=session.threads, progress=progress)
        return {"indices": found.indices, "distances": found.distances}


def shared_neighbors(embeddings: Embeddings, k: int, metric: Metric) -> NeighborLists:
    """The lists that requests for k neighbours are cut from: 50 for every k up to 50, at most N - 1."""
    wanted = max(k, SHARED_NEIGHBORS)
    size = embeddings.dataset.size
    return NeighborLists(embeddings=embeddings, k=min(wanted, size - 1) if size else wanted, metric=metric)
