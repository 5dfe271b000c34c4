"""The shared stages of a grid as typed specifications: what each depends on, and the key it is stored under."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from typing import Any, ClassVar, Literal

from bench.calls import Call
from bench.errors import SpecError
from bench.plugins import Need, encoders, methods
from bench.pool import Layers, Metric, Targets
from bench.refs import DatasetRef, EncoderRef, Frozen, Proxy

SHARED_NEIGHBORS = 50


class Stage(Frozen):
    """One computation whose result is stored by content and shared by cells, grids and runs."""

    kind: ClassVar[str]
    version: ClassVar[int] = 1

    @property
    def key(self) -> str:
        """SHA-256 over kind, version of the code, specification, and the keys of all that it rests on.

        A specification names its inputs but not the versions of their code.
        """
        parts = (self.kind, str(self.version), self.digest(), *(needed.key for needed in self.inputs()))
        return hashlib.sha256("/".join(parts).encode()).hexdigest()

    def inputs(self) -> list[Stage]:
        """Stages that must be there first."""
        return []

    def describe(self) -> dict[str, Any]:
        """The specification as JSON, stored beside the arrays."""
        return {"kind": self.kind, "version": self.version, **self.model_dump(mode="json")}

    def uses_gpu(self) -> bool:
        """Whether a GPU, where the run has one, may do some of the work; a stage of which none does holds none."""
        return True

    def title(self) -> str:
        """A few words for progress and ``--dry-run``."""
        return self.kind


class EncoderFit(Stage):
    """What an encoder that is registered as ``fitted`` learned from the pool's images; both splits rest on it."""

    kind: ClassVar[str] = "encoder"
    dataset: DatasetRef
    encoder: EncoderRef

    def uses_gpu(self) -> bool:
        return encoders.get(self.encoder.name).info.gpu

    def title(self) -> str:
        return f"{self.encoder.label} fitted to the images of {self.dataset.label}"


class Embeddings(Stage):
    """Embeddings of one split; an encoder that must be fitted is fitted to the pool."""

    kind: ClassVar[str] = "embeddings"
    version: ClassVar[int] = 2
    dataset: DatasetRef
    encoder: EncoderRef
    split: Literal["train", "test"] = "train"

    def inputs(self) -> list[Stage]:
        fitted = encoders.get(self.encoder.name).info.fitted
        return [EncoderFit(dataset=self.dataset, encoder=self.encoder)] if fitted else []

    def uses_gpu(self) -> bool:
        return encoders.get(self.encoder.name).info.gpu

    def title(self) -> str:
        return f"embeddings of {self.dataset.label} ({self.split}) by {self.encoder.label}"


class NeighborLists(Stage):
    """Exact nearest neighbours of the pool's embeddings."""

    kind: ClassVar[str] = "neighbors"
    version: ClassVar[int] = 2
    embeddings: Embeddings
    k: int
    metric: Metric

    def inputs(self) -> list[Stage]:
        return [self.embeddings]

    def uses_gpu(self) -> bool:
        return False

    def title(self) -> str:
        source = self.embeddings
        return f"{self.k} {self.metric} neighbours in {source.encoder.label} of {source.dataset.label}"


def shared_neighbors(embeddings: Embeddings, k: int, metric: Metric) -> NeighborLists:
    """The lists that requests for k neighbours are cut from: 50 for every k up to 50, at most N - 1."""
    wanted = max(k, SHARED_NEIGHBORS)
    size = embeddings.dataset.size
    return NeighborLists(embeddings=embeddings, k=min(wanted, size - 1) if size else wanted, metric=metric)


class ClusterCount(Stage):
    """How many clusters the pool's embeddings have, by ``bench.clustering.count``."""

    kind: ClassVar[str] = "cluster-count"
    embeddings: Embeddings
    seed: int

    def inputs(self) -> list[Stage]:
        return [self.embeddings]

    def uses_gpu(self) -> bool:
        return False

    def title(self) -> str:
        source = self.embeddings
        return f"number of clusters of {source.dataset.label} by {source.encoder.label}, seed {self.seed}"


class PseudoLabels(Stage):
    """Cluster numbers of the pool.

    Attributes:
        embeddings: what is clustered.
        clustering: ``temi`` or ``kmeans`` (on L2-normalised embeddings).
        num_clusters: how many, or ``estimate``, which takes them from ``cluster_count``.
        heads: TEMI's heads.
        epochs: TEMI's epochs.
        seed: of the clustering.
    """

    kind: ClassVar[str] = "pseudo-labels"
    version: ClassVar[int] = 4
    embeddings: Embeddings
    clustering: Literal["temi", "kmeans"] = "temi"
    num_clusters: int | Literal["estimate"]
    heads: int | None = 50
    epochs: int | None = 200
    seed: int

    def inputs(self) -> list[Stage]:
        needed: list[Stage] = [self.embeddings]
        if self.clustering == "temi":
            needed.append(self.neighbor_lists())
        if self.num_clusters == "estimate":
            needed.append(self.cluster_count())
        return needed

    def uses_gpu(self) -> bool:
        return self.clustering == "temi"

    def cluster_count(self) -> ClusterCount:
        """The estimate that ``num_clusters="estimate"`` stands for."""
        return ClusterCount(embeddings=self.embeddings, seed=self.seed)

    def neighbor_lists(self) -> NeighborLists:
        """The neighbours that TEMI draws from."""
        return shared_neighbors(self.embeddings, SHARED_NEIGHBORS, "cosine")

    def title(self) -> str:
        source = self.embeddings
        return f"{self.how()} pseudo-labels of {source.dataset.label} by {source.encoder.label}, seed {self.seed}"

    def how(self) -> str:
        """The clustering with its effort and number of clusters, in words."""
        effort = {"heads": self.heads, "epochs": self.epochs} if self.clustering == "temi" else {}
        return str(Call(self.clustering, {**effort, "num_clusters": self.num_clusters}))


class ProxyDynamics(Stage):
    """Training dynamics of a proxy on the whole pool, trained on true labels or on pseudo-labels."""

    kind: ClassVar[str] = "dynamics"
    version: ClassVar[int] = 3
    dataset: DatasetRef
    pseudo_labels: PseudoLabels | None
    proxy: Proxy
    seed: int

    def inputs(self) -> list[Stage]:
        needed: list[Stage] = [] if self.pseudo_labels is None else [self.pseudo_labels]
        return needed + proxy_inputs(self.proxy, self.dataset)

    def title(self) -> str:
        source = self.pseudo_labels
        labels = "true labels" if source is None else f"{source.how()} of {source.embeddings.encoder.label}"
        return f"proxy {self.proxy.model.label} on {self.dataset.label}, {labels}, seed {self.seed}"


class GradientNorms(Stage):
    """Norms of each pool image's loss gradient early in training on true labels, averaged over networks.

    Attributes:
        dataset: the pool.
        proxy: the network and its recipe.
        networks: how many are averaged, each with weights and order of its own.
        epochs: of training before the gradients are taken; 0 is at initialisation, and the proxy's epochs the most.
        layers: gradient by all weights, or by those of the last linear layer alone.
        seed: of weights, order and augmentation.
    """

    kind: ClassVar[str] = "gradient-norms"
    version: ClassVar[int] = 2
    dataset: DatasetRef
    proxy: Proxy
    networks: int = 10
    epochs: int = 10
    layers: Layers = "all"
    seed: int

    def inputs(self) -> list[Stage]:
        return proxy_inputs(self.proxy, self.dataset)

    def title(self) -> str:
        return f"gradient norms of {self.proxy.model.label} on {self.dataset.label}, seed {self.seed}"


def proxy_inputs(proxy: Proxy, dataset: DatasetRef) -> list[Stage]:
    """The embeddings that the proxy's network takes in place of images, if it does."""
    return [] if proxy.encoder is None else [Embeddings(dataset=dataset.without_noise(), encoder=proxy.encoder)]


class Selection(Stage):
    """One coreset: indices into the pool.

    Attributes:
        dataset: the pool.
        method: registered name.
        params: parameters that differ from their defaults.
        code: ``bench.grid.code_digest``, so that a coreset of an edited method is not read from the store.
        encoder: None where the method reads no embeddings.
        proxy: None where the method needs no network trained.
        rate: fraction removed.
        budget: images kept.
        seed: of everything random.
    """

    kind: ClassVar[str] = "selection"
    version: ClassVar[int] = 3
    dataset: DatasetRef
    method: str
    params: dict[str, Any]
    code: str
    encoder: EncoderRef | None
    proxy: Proxy | None
    rate: float
    budget: int
    seed: int

    def needs(self) -> list[Need]:
        """What the method declared that it reads, with these parameters."""
        entry = methods.get(self.method)
        return list(entry.info.needs(entry.resolve(self.params)))

    def inputs(self) -> list[Stage]:
        stages = [stage for item in self.needs() for stage in self._stages_for(item)]
        return list(dict.fromkeys(stages))

    def uses_gpu(self) -> bool:
        return any(item.part in ("rehearsal", "outputs") for item in self.needs())

    def _stages_for(self, item: Need) -> list[Stage]:
        if item.part == "embeddings":
            return [self.embeddings()]
        if item.part == "neighbors":
            return [self.neighbor_lists(**item.options)]
        if item.part in ("pseudo_labels", "rehearsal"):
            return [self.pseudo_labels(**item.options)]
        if item.part == "dynamics":
            default: Targets = "labels" if methods.get(self.method).info.supervision == "labels" else "pseudo"
            return [self.dynamics(**{"of": default, **item.options})]
        if item.part == "gradient_norms":
            return [self.gradient_norms(**item.options)]
        if item.part == "outputs":
            return proxy_inputs(self.network(), self.dataset)
        return []

    def all_code(self) -> str:
        """Digest of the method's code and of the versions of the stages that the selection rests on, 16 characters."""
        versions = sorted({f"{stage.kind} {stage.version}" for stage in in_order([self])})
        return hashlib.sha256("\0".join([self.code, *versions]).encode()).hexdigest()[:16]

    def embeddings(self) -> Embeddings:
        """The pool's embeddings."""
        if self.encoder is None:
            raise SpecError(f"method {self.method!r} reads embeddings, but the cell names no encoder.")
        return Embeddings(dataset=self.dataset.without_noise(), encoder=self.encoder)

    def neighbor_lists(self, k: int = SHARED_NEIGHBORS, metric: Metric = "cosine") -> NeighborLists:
        """Neighbour lists of at least k; lists of up to 50 are cut from the same 50."""
        return shared_neighbors(self.embeddings(), k, metric)

    def pseudo_labels(self, **clustering: Any) -> PseudoLabels:
        """Pseudo-labels with as many clusters as classes unless ``num_clusters`` says otherwise."""
        wanted = {key: value for key, value in clustering.items() if value is not None}
        wanted.setdefault("num_clusters", self.dataset.num_classes)
        return PseudoLabels(embeddings=self.embeddings(), seed=self.seed, **wanted)

    def all_pseudo_labels(self) -> list[PseudoLabels]:
        """Those that the selection rests on, in the order in which the method declared them."""
        return [stage for stage in in_order([self]) if isinstance(stage, PseudoLabels)]

    def dynamics(self, of: Targets = "labels", **clustering: Any) -> ProxyDynamics:
        """Dynamics of the cell's proxy."""
        proxy = self.network()
        source = self.pseudo_labels(**clustering) if of == "pseudo" else None
        dataset = self.dataset if source is None else self.dataset.without_noise()
        return ProxyDynamics(dataset=dataset, pseudo_labels=source, proxy=proxy, seed=self.seed)

    def gradient_norms(self, **options: Any) -> GradientNorms:
        """Gradient norms of the cell's proxy; keywords are the stage's."""
        return GradientNorms(dataset=self.dataset, proxy=self.network(), seed=self.seed, **options)

    def network(self) -> Proxy:
        """The cell's proxy."""
        if self.proxy is None:
            raise SpecError(f"method {self.method!r} needs a network trained, but the cell names no proxy.")
        return self.proxy

    def title(self) -> str:
        method = Call(self.method, dict(self.params))
        return f"coreset of {method} on {self.dataset.label} at rate {self.rate:g}, seed {self.seed}"


def in_order(stages: Iterable[Stage], present: Callable[[Stage], bool] = lambda stage: False) -> list[Stage]:
    """The stages and all that they rest on, each once, inputs before users; what is present needs no inputs."""
    ordered: dict[Stage, None] = {}

    def visit(stage: Stage) -> None:
        if stage in ordered or present(stage):
            return
        for needed in stage.inputs():
            visit(needed)
        ordered[stage] = None

    for stage in stages:
        visit(stage)
    return list(ordered)
