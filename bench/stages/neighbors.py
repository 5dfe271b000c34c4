"""Nearest neighbours of the pool's embeddings."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from bench.knn import DISTANCES
from bench.parts import NEIGHBORS, Metric, NearestNeighbors
from bench.pool import Neighbors
from bench.stages.embeddings import Embeddings, OnEmbeddings
from bench.stages.givers import Givers, gives
from bench.stages.memory import CUDA, CUDA_PROCESS, PROCESS, Estimate, Shape
from bench.stages.work import Distance, Work

if TYPE_CHECKING:
    from bench.data import Arrays
    from bench.progress import Progress
    from bench.stages.session import Session


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
        """Count 12 N k bytes for the lists, and in memory the embeddings three times: read, normalised, indexed."""
        # 8 bytes of an int64 position and 4 of a float32 distance.
        lists = shape.train * self.k * 12
        memory = PROCESS + 3 * shape.embeddings + 2 * lists + (CUDA_PROCESS if device != "cpu" else 0)
        # Four matrices of the distances held at once: the terms of the sum, and the ranking.
        return Estimate(memory, lists, CUDA + shape.embeddings + 4 * DISTANCES * 4)

    def work(self, shape: Shape) -> list[Work]:
        return [Work(Distance(self.embeddings.encoder), float(shape.train) ** 2)]

    def compute(self, session: Session, progress: Progress) -> Arrays:
        """Return ``indices`` int64 and ``distances`` float32, each [N, k]."""
        from bench.knn import nearest_neighbors

        embeddings = session.arrays(self.embeddings)["embeddings"]
        nearest = nearest_neighbors(
            embeddings, self.k, self.metric, threads=session.threads, device=session.device, progress=progress
        )
        return {"indices": nearest.indices, "distances": nearest.distances}


def shared_neighbors(embeddings: Embeddings, options: NearestNeighbors) -> NeighborLists:
    """Return the stage whose lists serve a request for k neighbours: 50 for every k up to 50, at most N - 1."""
    shared = options.shared(embeddings.dataset.size, embeddings.dataset.num_classes)
    return NeighborLists(embeddings=embeddings, k=shared.k, metric=shared.metric)


GIVERS: Givers = {
    NEIGHBORS.name: gives(
        lambda selection, options: shared_neighbors(selection.embeddings(), options),
        lambda arrays, options: Neighbors(arrays["indices"][:, : options.k], arrays["distances"][:, : options.k]),
    )
}
