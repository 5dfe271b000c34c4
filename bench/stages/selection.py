"""The selection of a coreset: the method's call on a pool whose parts come from other stages."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from bench.code_digest import code_digest
from bench.errors import SpecError
from bench.grammar import Call, parse_call
from bench.identity import EncoderRef, Proxy
from bench.judging.judges import SHARE
from bench.parts import CORESET, IMAGES, JUDGE, PARTS, REHEARSAL, Need, OtherMethod, Resource
from bench.plugins import methods
from bench.stages.base import OnDataset, Stage, in_order
from bench.stages.clusters import PseudoLabels
from bench.stages.embeddings import Embeddings
from bench.stages.givers import Givers, giver, gives
from bench.stages.memory import CUDA, PROCESS, Estimate, Shape, in_memory, training_bytes
from bench.stages.work import Work, steps_of_epochs, training_work
from bench.weighted import kept_in

if TYPE_CHECKING:
    from bench.data import Arrays
    from bench.progress import Progress
    from bench.stages.session import Session


class Selection(OnDataset):
    """One coreset: indices into the pool.

    Attributes:
        dataset: the pool.
        method: registered name.
        params: parameters that differ from their defaults.
        code: ``bench.code_digest``, so that an edited method does not reuse stored coresets.
        encoder: encoder of the pool; None if the method reads no embeddings.
        proxy: network that the method has trained; None if it has none.
        rate: fraction of the pool to remove.
        budget: number of images to keep.
        seed: seed of everything random.
    """

    kind: ClassVar[str] = "selection"
    version: ClassVar[int] = 3
    method: str
    params: dict[str, Any]
    code: str
    encoder: EncoderRef | None
    proxy: Proxy | None
    rate: float
    budget: int
    seed: int

    def needs(self) -> list[Need]:
        """Return the parts that the method declares to read with these parameters."""
        entry = methods.get(self.method)
        return list(entry.info.needs(entry.resolve(self.params)))

    def inputs(self) -> list[Stage]:
        stages = [stage for item in self.needs() for stage in giver(PARTS[item.part]).stages(self, item.chosen)]
        # Two parts may need one stage, such as pseudo-labels and the dynamics on them.
        return list({stage.key: stage for stage in stages}.values())

    def revisions(self) -> list[str]:
        """Return the parts that are computed while the method runs, with their versions above 1."""
        versions = {item.part: giver(PARTS[item.part]).version for item in self.needs()}
        return [f"{part} {version}" for part, version in versions.items() if version > 1]

    def uses_gpu(self) -> bool:
        return any(giver(PARTS[item.part]).trains(self, item.chosen) for item in self.needs())

    def title(self) -> str:
        method = Call(self.method, dict(self.params))
        return f"coreset of {method} on {self.dataset.label} at rate {self.rate:g}, seed {self.seed}"

    def estimate(self, shape: Shape, device: str) -> Estimate:
        """Count the data set; if the method reads them, the embeddings twice and the images once; and a training."""
        reads = 2 * shape.embeddings if self.encoder is not None else 0
        # A method is given a copy of the images, since it may write into them.
        if any(item.part == IMAGES.name for item in self.needs()):
            reads += shape.train * shape.per_image
        trains = 0
        if self.uses_gpu() and self.proxy is not None:
            trains = sum(training_bytes(self.proxy.model, self.proxy.recipe, shape, self.dataset, self.budget))
        memory = PROCESS + shape.bytes + reads + in_memory(trains, device)
        # On disk at most an int64 position of each image, and as much for the facts that a method reports.
        return Estimate(memory, 16 * shape.train, CUDA + trains if trains else 0)

    def work(self, shape: Shape) -> list[Work]:
        """Count the networks that it trains; sorting and the like takes little time and is left out."""
        if self.proxy is None or not shape.train:
            return []
        recipe, inputs, trainings = self.proxy.recipe, self.proxy.encoder or shape.image, []
        for item in self.needs():
            if not giver(PARTS[item.part]).trains(self, item.chosen):
                continue
            if item.part == REHEARSAL.name:
                # One candidate for each tenth that may be dropped; a tenth of the pool is held out.
                # 1e-9, since a rate such as 1 - 0.9 falls just short of its tenth.
                candidates, images = int(10 * self.rate + 1e-9) + 1, round(0.9 * self.budget)
                steps = candidates * steps_of_epochs(recipe, images)
            elif item.part == JUDGE.name:
                steps, images = int(SHARE * steps_of_epochs(recipe, shape.train)), self.budget
            else:
                # Rounds of labelling, ten by default, each with a new training on the labels so far.
                steps, images = 10 * steps_of_epochs(recipe, self.budget // 2), self.budget // 2
            trainings += training_work(
                self.proxy.model, recipe, inputs, self.dataset, images, steps, scored=10 * shape.train
            )
        return trainings

    def compute(self, session: Session, progress: Progress) -> Arrays:
        """Return ``indices``, int64 [budget], sorted positions in the pool, and what else the method returned.

        That is ``weights``, float64 [budget], of a weighted coreset, and the facts that it reported.
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
        weight_arrays = {} if weights is None else {"weights": weights}
        return {"indices": indices, **weight_arrays, **pool.diagnostics.arrays()}

    def trains(self) -> bool:
        """Return whether the proxy is trained for it, by a stage that it needs or while its method runs."""
        return any(
            stage.uses_gpu() if isinstance(stage, Selection) else getattr(stage, "proxy", None) is not None
            for stage in in_order([self])
        )

    def all_code(self) -> str:
        """Return a digest, 16 characters, of the code of the methods and the versions of the stages it depends on."""
        rests_on = in_order([self])
        # Sorted, so that the digest does not depend on the order in which a method declares its needs.
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
        """Return the pseudo-labels that this selection itself depends on, in the order of the method's declaration."""
        stages = in_order([self], lambda stage: isinstance(stage, Selection) and stage is not self)
        return [stage for stage in stages if isinstance(stage, PseudoLabels)]

    def network(self) -> Proxy:
        """Return the cell's proxy."""
        if self.proxy is None:
            raise SpecError(f"method {self.method!r} needs a network trained, but the cell names no proxy.")
        return self.proxy


def select(method: Call, *, encoder: EncoderRef | None, proxy: Proxy | None, **where: Any) -> Selection:
    """Return the selection by a method, with encoder and proxy only if the method reads them.

    Args:
        method: the method with the parameters that were set.
        encoder: encoder of the grid.
        proxy: proxy of the grid.
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
    """Return the resources of a grid that the method's selection depends on with these parameters."""
    entry = methods.get(method)
    needs = entry.info.needs(entry.resolve(params))
    resources = {resource for item in needs for resource in item.resources()}
    for item in needs:
        if item.part == CORESET.name and not resources >= {"encoder", "proxy"}:
            # A candidate's pseudo-labels are its own; the row of the method that reads it does not mention them.
            candidate = parse_call(item.chosen.method)
            resources |= resources_of(candidate.name, candidate.params) - {"pseudo-labels"}
    return resources


def _candidate(selection: Selection, options: OtherMethod) -> Selection:
    """Return the selection by another method from the same pool at the same rate and seed."""
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
