"""One coreset: the method's call on a pool whose parts are other stages."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from bench.calls import Call, parse_call
from bench.code_digest import code_digest
from bench.errors import SpecError
from bench.judging.rule import Judge, judge_for
from bench.plugins import Need, methods
from bench.pool import Metric, Targets
from bench.refs import DatasetRef, EncoderRef, Proxy
from bench.stages.base import Stage, in_order
from bench.stages.clusters import PseudoLabels
from bench.stages.dynamics import ProxyDynamics, proxy_inputs
from bench.stages.embeddings import Embeddings
from bench.stages.gradients import GradientNorms
from bench.stages.judging import JudgeFeatures, Labelings
from bench.stages.memory import CUDA, PROCESS, Estimate, Shape, in_memory, proxy_bytes
from bench.stages.neighbors import SHARED_NEIGHBORS, NeighborLists, shared_neighbors

if TYPE_CHECKING:
    from bench.data import Arrays
    from bench.stages.session import Session
    from bench.underway import Progress


READS_EMBEDDINGS = {"embeddings", "neighbors", "pseudo_labels", "rehearsal", "judge"}
READS_PROXY = {"dynamics", "rehearsal", "judge", "gradient_norms", "outputs"}


class Selection(Stage):
    """One coreset: indices into the pool.

    Attributes:
        dataset: the pool.
        method: registered name.
        params: parameters that differ from their defaults.
        code: ``bench.code_digest``, so that a coreset of an edited method is not read from the store.
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

    @property
    def pool(self) -> DatasetRef:
        return self.dataset

    def needs(self) -> list[Need]:
        """What the method declared that it reads, with these parameters."""
        entry = methods.get(self.method)
        return list(entry.info.needs(entry.resolve(self.params)))

    def inputs(self) -> list[Stage]:
        stages = {stage.key: stage for item in self.needs() for stage in self._stages_for(item)}
        return list(stages.values())

    def uses_gpu(self) -> bool:
        return any(item.part in ("rehearsal", "outputs") or self._trains_judge(item) for item in self.needs())

    def _stages_for(self, item: Need) -> list[Stage]:
        match item.part:
            case "embeddings":
                return [self.embeddings()]
            case "neighbors":
                return [self.neighbor_lists(**item.options)]
            case "pseudo_labels" | "rehearsal":
                return [self.pseudo_labels(**item.options)]
            case "dynamics":
                default: Targets = "labels" if methods.get(self.method).info.supervision == "labels" else "pseudo"
                return [self.dynamics(**{"of": default, **item.options})]
            case "gradient_norms":
                return [self.gradient_norms(**item.options)]
            case "judge":
                return self.judged_by(**item.options)
            case "coreset":
                return [self.candidate(parse_call(item.options["method"]))]
            case "outputs":
                return list(proxy_inputs(self.network(), self.dataset))
        return []

    def title(self) -> str:
        method = Call(self.method, dict(self.params))
        return f"coreset of {method} on {self.dataset.label} at rate {self.rate:g}, seed {self.seed}"

    def estimate(self, shape: Shape, device: str) -> Estimate:
        """The data set; where read, the embeddings twice and a copy of the images; a training if one is done."""
        reads = 2 * shape.embeddings if self.encoder is not None else 0
        if any(item.part == "images" for item in self.needs()):
            reads += shape.train * shape.per_image
        trains = 0
        if self.uses_gpu() and self.proxy is not None:
            trains = sum(proxy_bytes(self.proxy, shape, self.dataset, self.budget))
        memory = PROCESS + shape.bytes + reads + in_memory(trains, device)
        return Estimate(memory, 16 * shape.train, CUDA + trains if trains else 0)

    def compute(self, session: Session, progress: Progress) -> Arrays:
        """``indices`` int64 [budget], sorted positions in the pool; beside them what the method reported."""
        from bench.selection import method_pool, run_method

        entry = methods.get(self.method)
        pool = method_pool(
            entry,
            self.params,
            session.source(self),
            size=self.dataset.size,
            num_classes=self.dataset.num_classes,
            rate=self.rate,
            seed=self.seed,
        )
        for source in self.all_pseudo_labels():
            if source.num_clusters == "estimate":
                pool.report(num_clusters=source.count(session))
        indices = run_method(entry, pool, self.params, self.budget, self.seed)
        return {"indices": indices, **pool.diagnostics.arrays()}

    def all_code(self) -> str:
        """Digest of the code of the methods and the versions of the stages that it rests on, 16 characters."""
        rests_on = in_order([self])
        versions = sorted({f"{stage.kind} {stage.version}" for stage in rests_on})
        others = sorted(stage.code for stage in rests_on if isinstance(stage, Selection) and stage is not self)
        return hashlib.sha256("\0".join([self.code, *versions, *others]).encode()).hexdigest()[:16]

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
        """Those that the selection itself rests on, in the order in which the method declared them."""
        own = in_order([self], lambda stage: isinstance(stage, Selection) and stage is not self)
        return [stage for stage in own if isinstance(stage, PseudoLabels)]

    def candidate(self, method: Call) -> Selection:
        """What another method keeps of the same pool at the same rate and seed."""
        return select(
            method,
            dataset=self.dataset,
            encoder=self.encoder,
            proxy=self.proxy,
            rate=self.rate,
            budget=self.budget,
            seed=self.seed,
        )

    def dynamics(self, of: Targets = "labels", **clustering: Any) -> ProxyDynamics:
        """Dynamics of the cell's proxy."""
        proxy = self.network()
        source = self.pseudo_labels(**clustering) if of == "pseudo" else None
        dataset = self.dataset if source is None else self.dataset.without_noise()
        return ProxyDynamics(dataset=dataset, pseudo_labels=source, proxy=proxy, seed=self.seed)

    def gradient_norms(self, **options: Any) -> GradientNorms:
        """Gradient norms of the cell's proxy; keywords are the stage's."""
        return GradientNorms(dataset=self.dataset, proxy=self.network(), seed=self.seed, **options)

    def judge(self, by: Judge = "rule") -> Literal["ridge", "network"]:
        """Which judge looks at this selection's candidates."""
        return judge_for(by, self.budget, images=not proxy_inputs(self.network(), self.dataset))

    def judged_by(self, by: Judge = "rule") -> list[Stage]:
        """What coresets are judged by: labelings, and what the proxy's network sees, or features of it."""
        network = self.judge(by) == "network"
        seen = proxy_inputs(self.network(), self.dataset) if network else [self.judge_features()]
        return [self.labelings(), *seen]

    def labelings(self) -> Labelings:
        """The clusterings that coresets are judged by."""
        return Labelings(embeddings=self.embeddings(), num_classes=self.dataset.num_classes, seed=self.seed)

    def judge_features(self) -> JudgeFeatures:
        """Features, for the ridge judge, of what the proxy's network sees."""
        seen = proxy_inputs(self.network(), self.dataset)
        images = self.dataset.without_noise()
        return JudgeFeatures(dataset=images, embeddings=seen[0] if seen else None, seed=self.seed)

    def _trains_judge(self, item: Need) -> bool:
        return item.part == "judge" and self.judge(**item.options) == "network"

    def network(self) -> Proxy:
        """The cell's proxy."""
        if self.proxy is None:
            raise SpecError(f"method {self.method!r} needs a network trained, but the cell names no proxy.")
        return self.proxy


def select(method: Call, *, encoder: EncoderRef | None, proxy: Proxy | None, **where: Any) -> Selection:
    """The selection by a method, without encoder and proxy where it reads neither.

    Args:
        method: with the parameters that were set.
        encoder: of the grid.
        proxy: of the grid.
        **where: data set, rate, budget and seed.
    """
    reads, entry = parts_read(method.name, method.params), methods.get(method.name)
    return Selection(
        method=method.name,
        params=entry.changed(method.params),
        code=entry.code or code_digest(entry.function, entry.info.version),
        encoder=encoder if reads & READS_EMBEDDINGS else None,
        proxy=proxy if reads & READS_PROXY else None,
        **where,
    )


def parts_read(method: str, params: Mapping[str, Any]) -> set[str]:
    """Names of the parts of the pool that the method reads with these parameters."""
    entry = methods.get(method)
    needs = entry.info.needs(entry.resolve(params))
    by_default = "labels" if entry.info.supervision == "labels" else "pseudo"
    of_pseudo = any(item.part == "dynamics" and item.options.get("of", by_default) == "pseudo" for item in needs)
    return {item.part for item in needs} | ({"pseudo_labels"} if of_pseudo else set())
