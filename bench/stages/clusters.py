"""Pseudo-labels: clusters of the pool's embeddings, and the estimate of their number."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar, Literal

from bench.clustering.assign import default_batch
from bench.clustering.count import SAMPLE, candidate_counts
from bench.grammar import Call
from bench.parts import PSEUDO_LABELS, Algorithm, Clustering, NearestNeighbors
from bench.stages.base import Stage
from bench.stages.embeddings import OnEmbeddings
from bench.stages.givers import Givers, gives
from bench.stages.memory import CUDA, PROCESS, WIDTH, Estimate, Shape, in_memory
from bench.stages.neighbors import NeighborLists, shared_neighbors
from bench.stages.work import Clustered, HeadStep, Work

if TYPE_CHECKING:
    from bench.data import Arrays
    from bench.progress import Progress
    from bench.stages.selection import Selection
    from bench.stages.session import Session

# Sizes of TEMI's heads and batches, see bench.clustering.temi.
_HIDDEN, _BOTTLENECK, _BATCH = 512, 256, 1024
_MOST_ESTIMATED = 200
"""Largest number of clusters that ``num_clusters="estimate"`` finds."""


class ClusterCount(OnEmbeddings):
    """The estimated number of clusters of the pool's embeddings, by ``bench.clustering.count``."""

    kind: ClassVar[str] = "cluster-count"
    seed: int

    def title(self) -> str:
        source = self.embeddings
        return f"number of clusters of {source.dataset.label} by {source.encoder.label}, seed {self.seed}"

    def estimate(self, shape: Shape, device: str) -> Estimate:
        return Estimate(PROCESS + 2 * shape.embeddings, 4096)

    def work(self, shape: Shape) -> list[Work]:
        """Return three starts for each candidate; the silhouettes, from distances of a sample, take less."""
        size = min(shape.train, SAMPLE)
        counts = candidate_counts(size).tolist()
        return [Work(Clustered(self.embeddings.encoder, count), 3 * size) for count in counts]

    def compute(self, session: Session, progress: Progress) -> Arrays:
        """Return ``num_clusters`` int64 [], with the candidates and their silhouettes."""
        from bench.clustering.count import estimate_num_clusters

        embeddings = session.arrays(self.embeddings)["embeddings"]
        return estimate_num_clusters(embeddings, seed=self.seed, progress=progress)


class PseudoLabels(OnEmbeddings):
    """Cluster numbers of the pool.

    Attributes:
        embeddings: embeddings to cluster.
        clustering: ``temi`` or ``kmeans`` (on L2-normalised embeddings).
        num_clusters: number of clusters, or ``estimate``, which takes it from ``cluster_count``.
        heads: number of TEMI's heads.
        epochs: epochs of TEMI's training.
        seed: seed of the clustering.
        precision: precision of TEMI's products, which follows the proxy's; on a CPU with AMX bf16 halves the time.
    """

    kind: ClassVar[str] = "pseudo-labels"
    version: ClassVar[int] = 5
    clustering: Algorithm
    num_clusters: int | Literal["estimate"]
    heads: int
    epochs: int
    seed: int
    precision: Literal["fp32", "bf16"]

    @classmethod
    def of(cls, selection: Selection, options: Clustering) -> PseudoLabels:
        """Return those of a selection's pool, with as many clusters as classes unless the options set a number."""
        pool, proxy = selection.dataset, selection.proxy
        # K-means always computes in fp32, so that proxies of both precisions share its stage.
        short = options.clustering == "temi" and proxy is not None and proxy.recipe.precision == "bf16"
        return cls(
            embeddings=selection.embeddings(),
            clustering=options.clustering,
            num_clusters=pool.num_classes if options.num_clusters is None else options.num_clusters,
            heads=options.heads,
            epochs=options.epochs,
            seed=selection.seed,
            precision="bf16" if short else "fp32",
        )

    def inputs(self) -> list[Stage]:
        needed = super().inputs()
        if self.clustering == "temi":
            needed.append(self.neighbor_lists())
        if self.num_clusters == "estimate":
            needed.append(self.cluster_count())
        return needed

    def uses_gpu(self) -> bool:
        return self.clustering == "temi"

    def cluster_count(self) -> ClusterCount:
        """Return the stage whose result ``num_clusters="estimate"`` uses."""
        return ClusterCount(embeddings=self.embeddings, seed=self.seed)

    def neighbor_lists(self) -> NeighborLists:
        """Return the neighbours that TEMI draws from."""
        # With the default number, so that one search serves the other methods too.
        return shared_neighbors(self.embeddings, NearestNeighbors())

    def title(self) -> str:
        source = self.embeddings
        return f"{self.how()} pseudo-labels of {source.dataset.label} by {source.encoder.label}, seed {self.seed}"

    def how(self) -> str:
        """Return the clustering with its effort and number of clusters as text."""
        effort = {"heads": self.heads, "epochs": self.epochs} if self.clustering == "temi" else {}
        return str(Call(self.clustering, {**effort, "num_clusters": self.num_clusters}))

    def estimate(self, shape: Shape, device: str) -> Estimate:
        """Count the embeddings twice, and for each head its weights, gradient, two moments, teacher and activations.

        The saved state, everything but gradients and activations, is copied from a GPU's memory first. K-means needs
        next to nothing more.
        """
        heads = self._head_bytes()
        # The embeddings twice: as read from the store, and scaled for the heads.
        memory = PROCESS + 2 * shape.embeddings + in_memory(heads, device)
        if device != "cpu":
            memory += self._head_bytes(saved=True)
        # On disk the labels, int64; a GPU holds the embeddings beside the heads.
        return Estimate(memory, shape.train * 8, CUDA + shape.embeddings + heads if heads else 0)

    def work(self, shape: Shape) -> list[Work]:
        """Return TEMI's steps, or the ten starts of k-means."""
        encoder, size = self.embeddings.encoder, shape.train
        clusters = _MOST_ESTIMATED if self.num_clusters == "estimate" else max(2, self.num_clusters)
        if self.clustering == "kmeans":
            return [Work(Clustered(encoder, clusters), 10 * size)]
        batch = min(size, default_batch(size))
        steps = math.ceil(size / batch) * self.epochs if size else 0
        return [Work(HeadStep(encoder, clusters, batch, self.precision), self.heads * steps)]

    def compute(self, session: Session, progress: Progress) -> Arrays:
        """Return ``labels`` int64 [N], and for TEMI the ``losses`` of its heads, float64 [H]."""
        from bench.clustering.assign import assign_clusters
        from bench.store.unfinished import Unfinished

        return assign_clusters(
            session.arrays(self.embeddings)["embeddings"],
            # A function, since k-means has no neighbour lists among its inputs.
            lambda: session.arrays(self.neighbor_lists())["indices"],
            clustering=Clustering(self.clustering, heads=self.heads, epochs=self.epochs),
            num_clusters=self.count(session),
            seed=self.seed,
            device=session.device,
            precision=self.precision,
            progress=progress,
            unfinished=Unfinished(session.store, self),
        )

    def count(self, session: Session) -> int:
        """Return the number of clusters, given or estimated."""
        if self.num_clusters == "estimate":
            return int(session.arrays(self.cluster_count())["num_clusters"])
        return self.num_clusters

    def _head_bytes(self, *, saved: bool = False) -> int:
        if self.clustering != "temi":
            return 0
        clusters = _MOST_ESTIMATED if self.num_clusters == "estimate" else self.num_clusters
        weights = WIDTH * _HIDDEN + _HIDDEN * _BOTTLENECK + _BOTTLENECK * clusters
        batch = _BATCH * (_HIDDEN + _BOTTLENECK + 2 * clusters)
        # 4 bytes per number. The gradient is recomputed at each step, and not saved.
        return 4 * self.heads * (4 * weights if saved else 5 * weights + 4 * batch)


GIVERS: Givers = {PSEUDO_LABELS.name: gives(PseudoLabels.of, lambda arrays, options: arrays["labels"])}
