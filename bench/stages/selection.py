"""One coreset: the method's call on a pool whose parts are other stages."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from bench.code_digest import code_digest
from bench.errors import SpecError
from bench.grammar import Call, parse_call
from bench.identity import DatasetRef, EncoderRef, Proxy
from bench.judging.judges import SHARE
from bench.parts import CORESET, IMAGES, JUDGE, PARTS, REHEARSAL, Need, OtherMethod, Resource
from bench.plugins import methods
from bench.stages.base import Stage, in_order
from bench.stages.clusters import PseudoLabels
from bench.stages.embeddings import Embeddings
from bench.stages.givers import Givers, giver, gives
from bench.stages.memory import CUDA, PROCESS, Estimate, Shape, in_memory, training_bytes
from bench.stages.work import Work, steps_of_epochs, training
from bench.weighted import kept_in

if TYPE_CHECKING:
    from bench.data import Arrays
    from bench.progress import Progress
    from bench.stages.session import Session


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
        """Return what the method declared that it reads, with these parameters."""
        entry = methods.get(self.method)
        return list(entry.info.needs(entry.resolve(self.params)))

    def inputs(self) -> list[Stage]:
        stages = [stage for item in self.needs() for stage in giver(PARTS[item.part]).stages(self, item.chosen)]
        # Two parts may rest on one stage, as pseudo-labels and the dynamics on them.
        return list({stage.key: stage for stage in stages}.values())

    def revisions(self) -> list[str]:
        """Parts that are computed while the method runs, where their version is above the first."""
        given = {item.part: giver(PARTS[item.part]).version for item in self.needs()}
        return [f"{part} {version}" for part, version in given.items() if version > 1]

    def uses_gpu(self) -> bool:
        return any(giver(PARTS[item.part]).trains(self, item.chosen) for item in self.needs())

    def title(self) -> str:
        method = Call(self.method, dict(self.params))
        return f"coreset of {method} on {self.dataset.label} at rate {self.rate:g}, seed {self.seed}"

    def estimate(self, shape: Shape, device: str) -> Estimate:
        """Count the data set; where read, the embeddings twice and a copy of the images; a training if one is done."""
        reads = 2 * shape.embeddings if self.encoder is not None else 0
        # A method is given a copy of the images, since it may write into them.
        if any(item.part == IMAGES.name for item in self.needs()):
            reads += shape.train * shape.per_image
        trains = 0
        if self.uses_gpu() and self.proxy is not None:
            trains = sum(training_bytes(self.proxy.model, self.proxy.recipe, shape, self.dataset, self.budget))
        memory = PROCESS + shape.bytes + reads + in_memory(trains, device)
        # On disk an int64 position of each image at most, and as much for what a method reports of it.
        return Estimate(memory, 16 * shape.train, CUDA + trains if trains else 0)

    def work(self, shape: Shape) -> list[Work]:
        """Count the networks that it trains; sorting and the like takes little beside them, and is left out."""
        if self.proxy is None or not shape.train:
            return []
        recipe, inputs, trainings = self.proxy.recipe, self.proxy.encoder or shape.image, []
        for item in self.needs():
            if not giver(PARTS[item.part]).trains(self, item.chosen):
                continue
            if item.part == REHEARSAL.name:
                # A candidate for each tenth that may be dropped; a tenth of the pool is held out.
                # 1e-9, since a rate such as 1 - 0.9 falls just short of its tenth.
                candidates, kept = int(10 * self.rate + 1e-9) + 1, round(0.9 * self.budget)
                steps, images = candidates * steps_of_epochs(recipe, kept), kept
            elif item.part == JUDGE.name:
                steps, images = int(SHARE * steps_of_epochs(recipe, shape.train)), self.budget
            else:
                # Rounds of labelling, ten by default, each trained from the start on what is labelled by then.
                steps, images = 10 * steps_of_epochs(recipe, self.budget // 2), self.budget // 2
            trainings += training(
                self.proxy.model, recipe, inputs, self.dataset, images, steps, scored=10 * shape.train
            )
        return trainings

    def compute(self, session: Session, progress: Progress) -> Arrays:
        """Return ``indices`` int64 [budget], sorted positions in the pool, with what the method gave besides.

        That is ``weights`` float64 [budget] of a coreset that has some, and what it reported.
        """
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
        indices, weights = run_method(entry, pool, self.params, self.budget, self.seed)
        weighed = {} if weights is None else {"weights": weights}
        return {"indices": indices, **weighed, **pool.diagnostics.arrays()}

    def trains(self) -> bool:
        """Whether the proxy is trained for it, by a stage that it rests on or while its method runs."""
        return any(
            stage.uses_gpu() if isinstance(stage, Selection) else getattr(stage, "proxy", None) is not None
            for stage in in_order([self])
        )

    def all_code(self) -> str:
        """Digest of the code of the methods and the versions of the stages that it rests on, 16 characters."""
        rests_on = in_order([self])
        # Sorted, as a digest of what it rests on and not of the order in which a method declares it.
        versions = sorted({f"{stage.kind} {stage.version}" for stage in rests_on})
        versions += sorted({entry for stage in rests_on for entry in stage.revisions()})
        others = sorted(stage.code for stage in rests_on if isinstance(stage, Selection) and stage is not self)
        return hashlib.sha256("\0".join([self.code, *versions, *others]).encode()).hexdigest()[:16]

    def embeddings(self) -> Embeddings:
        """Return the pool's embeddings."""
        if self.encoder is None:
            raise SpecError(f"method {self.method!r} reads embeddings, but the cell names no encoder.")
        return Embeddings(dataset=self.dataset.without_noise(), encoder=self.encoder)

    def all_pseudo_labels(self) -> list[PseudoLabels]:
        """Those that the selection itself rests on, in the order in which the method declared them."""
        own = in_order([self], lambda stage: isinstance(stage, Selection) and stage is not self)
        return [stage for stage in own if isinstance(stage, PseudoLabels)]

    def network(self) -> Proxy:
        """Return the cell's proxy."""
        if self.proxy is None:
            raise SpecError(f"method {self.method!r} needs a network trained, but the cell names no proxy.")
        return self.proxy


def select(method: Call, *, encoder: EncoderRef | None, proxy: Proxy | None, **where: Any) -> Selection:
    """Return the selection by a method, without encoder and proxy where it reads neither.

    Args:
        method: with the parameters that were set.
        encoder: of the grid.
        proxy: of the grid.
        **where: data set, rate, budget and seed.
    """
    rests_on, entry = resources_of(method.name, method.params), methods.get(method.name)
    return Selection(
        method=method.name,
        params=entry.changed(method.params),
        code=entry.code or code_digest(entry.function, entry.info.version),
        encoder=encoder if "encoder" in rests_on else None,
        proxy=proxy if "proxy" in rests_on else None,
        **where,
    )


def resources_of(method: str, params: Mapping[str, Any]) -> set[Resource]:
    """Return what of a grid the method's selection rests on with these parameters, by the table of parts."""
    entry = methods.get(method)
    needs = entry.info.needs(entry.resolve(params))
    resources = {resource for item in needs for resource in item.resources()}
    for item in needs:
        if item.part == CORESET.name and not resources >= {"encoder", "proxy"}:
            # A candidate's pseudo-labels are its own: the row of the method that reads it tells of none.
            candidate = parse_call(item.chosen.method)
            resources |= resources_of(candidate.name, candidate.params) - {"pseudo-labels"}
    return resources


def _candidate(selection: Selection, options: OtherMethod) -> Selection:
    """Return what another method keeps of the same pool at the same rate and seed."""
    return select(
        parse_call(options.method),
        dataset=selection.dataset,
        encoder=selection.encoder,
        proxy=selection.proxy,
        rate=selection.rate,
        budget=selection.budget,
        seed=selection.seed,
    )


def _positions(arrays: Arrays, options: OtherMethod) -> NDArray[np.int64]:
    return kept_in(arrays).without_weights(options.method, "pool.coreset")


GIVERS: Givers = {CORESET.name: gives(_candidate, _positions)}
