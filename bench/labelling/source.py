"""The pool of one's own items: embeddings are all there is, and no label exists that a method could read."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from bench.data import Arrays, private, read_only
from bench.dynamics import Dynamics
from bench.errors import LabelAccessError, SelectionError
from bench.plugins import models
from bench.pool import Metric, Neighbors, Targets
from bench.quantities import counted
from bench.recipe import Recipe
from bench.refs import ModelRef, Proxy
from bench.stages.base import Stage
from bench.stages.clusters import ClusterCount, PseudoLabels
from bench.stages.dynamics import ProxyDynamics
from bench.stages.neighbors import SHARED_NEIGHBORS, NeighborLists
from bench.stages.selection import Selection
from bench.store.cache import Store
from bench.underway import Progress

_LARGE = 10_000
_PROBE = "linear_probe"


def proxy_for(size: int) -> Proxy:
    """A linear probe on the embeddings of ``size`` items: it takes seconds on a CPU and needs no images."""
    recipe = Recipe(
        proxy_epochs=30,
        batch_size=256 if size < _LARGE else 1024,
        augmentation="none",
        crop_padding=0,
        evaluations=1,
        precision="fp32",
    )
    return Proxy(model=ModelRef(name=_PROBE, version=models.get(_PROBE).info.version), recipe=recipe)


class OwnStage(Stage):
    """One computation on the user's embeddings, stored by their content.

    Attributes:
        part: what is computed.
        versions: of the code that computes it and what it rests on, those of a grid's stages.
        embeddings: SHA-256 of the array.
        options: of the computation.
    """

    kind = "labelling"
    part: str
    versions: dict[str, int]
    embeddings: str
    options: dict[str, Any]


_CLUSTERED: list[type[Stage]] = [NeighborLists, PseudoLabels]
_OBSERVED: list[type[Stage]] = [*_CLUSTERED, ProxyDynamics]
_REHEARSED: list[type[Stage]] = [*_OBSERVED, Selection]  # in a grid, the stage of the coreset rehearses


@dataclass
class EmbeddingSource:
    """Implements ``PoolSource``; everything it computes is stored, so that an interrupted selection goes on.

    Attributes:
        array: float32 [N, D].
        fingerprint: SHA-256 of the array.
        num_classes: clusters that pseudo-labels have unless the method says otherwise.
        seed: of clustering and proxy.
        store: of what was computed.
        device: ``cpu`` or ``cuda``.
        threads: CPU threads.
        stage: told what begins; returns whom to tell how far it is.
    """

    array: NDArray[np.float32]
    fingerprint: str
    num_classes: int
    seed: int
    store: Store
    device: str
    threads: int
    stage: Callable[[str], Progress]

    @property
    def proxy(self) -> Proxy:
        """What training dynamics are observed on."""
        return proxy_for(len(self.array))

    def images(self) -> NoReturn:
        """Refused: methods for one's own items read embeddings."""
        raise SelectionError("the method reads images; `bench select` gives a method embeddings only.")

    def embeddings(self) -> NDArray[np.float32]:
        """float32 [N, D]."""
        return private(self.array)

    def neighbors(self, k: int, metric: Metric) -> Neighbors:
        """See ``Pool.neighbors``."""
        from bench.knn import nearest_neighbors

        wanted = min(max(k, SHARED_NEIGHBORS), len(self.array) - 1)

        def search() -> Arrays:
            tick = self.stage(f"{wanted} nearest neighbours of {len(self.array):,} items")
            found = nearest_neighbors(self.array, wanted, metric, threads=self.threads, progress=tick)
            return {"indices": found.indices, "distances": found.distances}

        arrays = self._stored("neighbors", [NeighborLists], {"k": wanted, "metric": metric}, search)
        return Neighbors(arrays["indices"][:, :k], arrays["distances"][:, :k])

    def cluster_count(self) -> int:
        """How many clusters ``num_clusters="estimate"`` stands for."""
        from bench.clustering.count import estimate_num_clusters

        def estimate() -> Arrays:
            tick = self.stage("estimating the number of clusters")
            return estimate_num_clusters(self.array, seed=self.seed, progress=tick)

        return int(self._stored("cluster-count", [ClusterCount], {"seed": self.seed}, estimate)["num_clusters"])

    def pseudo_labels(self, **clustering: Any) -> NDArray[np.int64]:
        """See ``Pool.pseudo_labels``."""
        from bench.clustering.assign import assign_clusters

        options = self._clustering(clustering)

        def assign() -> Arrays:
            temi = options["clustering"] == "temi"
            # Searched first, so that the two are told apart in the progress.
            near = self.neighbors(SHARED_NEIGHBORS, "cosine").indices if temi else np.empty((0, 0), dtype=np.int64)
            effort = f", {counted(options['heads'], 'head')}, {counted(options['epochs'], 'epoch')}" if temi else ""
            tick = self.stage(f"{options['clustering']}: {options['num_clusters']} clusters{effort}")
            return assign_clusters(
                self.array, lambda: near, seed=self.seed, device=self.device, progress=tick, **options
            )

        return self._stored("pseudo-labels", _CLUSTERED, {**options, "seed": self.seed}, assign)["labels"]

    def dynamics(self, of: Targets, **clustering: Any) -> Dynamics:
        """See ``Pool.dynamics``; of pseudo-labels alone."""
        from bench.training.proxy import observe_dynamics

        if of == "labels":
            self.labels()
        options = self._clustering(clustering)
        targets = self.pseudo_labels(**clustering)

        def observe() -> Arrays:
            tick = self.stage("proxy: training dynamics on the pseudo-labels")
            classes = options["num_clusters"]
            given: dict[str, Any] = {"num_classes": classes, "dataset": None, "seed": self.seed, "device": self.device}
            return observe_dynamics(self.proxy, self.array, targets, progress=tick, **given).arrays()

        return Dynamics.from_arrays(self._stored("dynamics", _OBSERVED, self._of_proxy(options), observe))

    def rehearse(self, indices: NDArray[np.int64], **clustering: Any) -> float:
        """See ``Pool.rehearse``."""
        from bench.training.proxy import rehearse

        options = self._clustering(clustering)
        targets = self.pseudo_labels(**clustering)

        def score() -> Arrays:
            self.stage("choosing beta: the proxy on a candidate coreset")
            classes = options["num_clusters"]
            given: dict[str, Any] = {"num_classes": classes, "dataset": None, "seed": self.seed, "device": self.device}
            return {"accuracy": np.array(rehearse(self.proxy, self.array, targets, indices, **given))}

        named = {**self._of_proxy(options), "indices": hashlib.sha256(indices.tobytes()).hexdigest()}
        return float(self._stored("rehearsal", _REHEARSED, named, score)["accuracy"])

    def gradient_norms(self, **options: Any) -> NoReturn:
        """Refused, as ``labels``."""
        self.labels()

    def outputs(self, indices: NDArray[np.int64]) -> NoReturn:
        """Refused, as ``labels``."""
        self.labels()

    def reveal(self, indices: NDArray[np.int64]) -> NoReturn:
        """Refused, as ``labels``."""
        self.labels()

    def labels(self) -> NoReturn:
        """Refused: there are none."""
        raise LabelAccessError("the method reads labels, and unlabelled items have none; choose a label-free method.")

    def _clustering(self, given: dict[str, Any]) -> dict[str, Any]:
        """All options; an estimated number of clusters as the number, so that what rests on it is found by it."""
        wanted = {key: value for key, value in given.items() if value is not None}
        if wanted.get("num_clusters") == "estimate":
            wanted["num_clusters"] = self.cluster_count()
        temi = {"heads": 50, "epochs": 200} if wanted.get("clustering", "temi") == "temi" else {}
        plain = {"clustering": "temi", "num_clusters": self.num_classes, "heads": None, "epochs": None}
        return {**plain, **temi, **wanted}

    def _of_proxy(self, clustering: dict[str, Any]) -> dict[str, Any]:
        return {**clustering, "seed": self.seed, "proxy": self.proxy.model_dump(mode="json")}

    def _stored(
        self, part: str, code: Sequence[type[Stage]], options: dict[str, Any], compute: Callable[[], Arrays]
    ) -> Arrays:
        versions = {stage.kind: stage.version for stage in code}
        stage = OwnStage(part=part, versions=versions, embeddings=self.fingerprint, options=options)
        arrays = self.store.get(stage, compute).arrays
        return {name: read_only(array) for name, array in arrays.items()}
