"""Pseudo-labels: clusters of the pool's embeddings, and how many there are."""

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

# Of TEMI's heads and batches, see bench.clustering.temi.
_HIDDEN, _BOTTLENECK, _BATCH = 512, 256, 1024
_MOST_ESTIMATED = 200
"""Clusters that ``num_clusters="estimate"`` finds at most."""


class ClusterCount(OnEmbeddings):
    """How many clusters the pool's embeddings have, by ``bench.clustering.count``."""

    kind: ClassVar[str] = "cluster-count"
    seed: int

    def title(self) -> str:
        source = self.embeddings
        return f"number of clusters of {source.dataset.label} by {source.encoder.label}, seed {self.seed}"

    def estimate(self, shape: Shape, device: str) -> Estimate:
        return Estimate(PROCESS + 2 * shape.embeddings, 4096)

    def work(self, shape: Shape) -> list[Work]:
        """Three starts for each candidate; the silhouettes, distances of a sample, take less."""
        size = min(shape.train, SAMPLE)
        counts = candidate_counts(size).tolist()
        return [Work(Clustered(self.embeddings.encoder, count), 3 * size) for count in counts]

    def compute(self, session: Session, progress: Progress) -> Arrays:
        """``num_clusters`` int64 [], with the candidates and their silhouettes."""
        from bench.clustering.count import estimate_num_clusters

        embeddings = session.arrays(self.embeddings)["embeddings"]
        return estimate_num_clusters(embeddings, seed=self.seed, progress=progress)


class PseudoLabels(OnEmbeddings):
    """Cluster numbers of the pool.

    Attributes:
        embeddings: what is clustered.
        clustering: ``temi`` or ``kmeans`` (on L2-normalised embeddings).
        num_clusters: how many, or ``estimate``, which takes them from ``cluster_count``.
        heads: TEMI's heads.
        epochs: TEMI's epochs.
        seed: of the clustering.
        precision: of TEMI's products, as the proxy's: ELFS trains both, and bf16 halves the time where it is native.
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
        """Those of a selection's pool, with as many clusters as classes unless the options say otherwise."""
        pool, proxy = selection.dataset, selection.proxy
        # K-means computes in fp32 whatever the proxy does: one stage for proxies of both precisions.
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
        """Return the estimate that ``num_clusters="estimate"`` stands for."""
        return ClusterCount(embeddings=self.embeddings, seed=self.seed)

    def neighbor_lists(self) -> NeighborLists:
        """Return the neighbours that TEMI draws from."""
        # At the default number, from which the lists of other methods are cut too: one search for all of them.
        return shared_neighbors(self.embeddings, NearestNeighbors())

    def title(self) -> str:
        source = self.embeddings
        return f"{self.how()} pseudo-labels of {source.dataset.label} by {source.encoder.label}, seed {self.seed}"

    def how(self) -> str:
        """Name the clustering with its effort and number of clusters, in words."""
        effort = {"heads": self.heads, "epochs": self.epochs} if self.clustering == "temi" else {}
        return str(Call(self.clustering, {**effort, "num_clusters": self.num_clusters}))

    def estimate(self, shape: Shape, device: str) -> Estimate:
        """Embeddings twice; for each head its weights, gradient, two moments and teacher, and 4 activations of a batch.

        What is saved of it is copied from a GPU's memory first: all but gradients and activations. K-means keeps next
        to nothing.
        """
        heads = self._head_bytes()
        # Twice: as read from the store, and scaled for the heads.
        memory = PROCESS + 2 * shape.embeddings + in_memory(heads, device)
        if device != "cpu":
            memory += self._head_bytes(saved=True)
        # The labels, int64; a GPU holds the embeddings beside the heads.
        return Estimate(memory, shape.train * 8, CUDA + shape.embeddings + heads if heads else 0)

    def work(self, shape: Shape) -> list[Work]:
        """TEMI's steps, or the ten starts of k-means."""
        encoder, size = self.embeddings.encoder, shape.train
        clusters = _MOST_ESTIMATED if self.num_clusters == "estimate" else max(2, self.num_clusters)
        if self.clustering == "kmeans":
            return [Work(Clustered(encoder, clusters), 10 * size)]
        batch = min(size, default_batch(size))
        steps = math.ceil(size / batch) * self.epochs if size else 0
        return [Work(HeadStep(encoder, clusters, batch, self.precision), self.heads * steps)]

    def compute(self, session: Session, progress: Progress) -> Arrays:
        """``labels`` int64 [N]; ``losses`` float64 [H] of TEMI's heads."""
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
        """Return the number of clusters, as given or as estimated."""
        if self.num_clusters == "estimate":
            return int(session.arrays(self.cluster_count())["num_clusters"])
        return self.num_clusters

    def _head_bytes(self, *, saved: bool = False) -> int:
        if self.clustering != "temi":
            return 0
        clusters = _MOST_ESTIMATED if self.num_clusters == "estimate" else self.num_clusters
        weights = WIDTH * _HIDDEN + _HIDDEN * _BOTTLENECK + _BOTTLENECK * clusters
        batch = _BATCH * (_HIDDEN + _BOTTLENECK + 2 * clusters)
        # 4 bytes a number. The gradient is made anew at each step, and so is none of what is saved.
        return 4 * self.heads * (4 * weights if saved else 5 * weights + 4 * batch)


GIVERS: Givers = {PSEUDO_LABELS.name: gives(PseudoLabels.of, lambda arrays, options: arrays["labels"])}
