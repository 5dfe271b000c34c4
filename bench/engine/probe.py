"""Time a few seconds of the real work: optimiser steps, images through the encoder, steps of the clustering.

The inputs are random numbers of the right shapes, which take as long as real ones. The time of decoding images from
files is not included.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray

from bench.embedding.encoder import Encoder, FittedEncoder, make_encoder
from bench.identity import EncoderRef
from bench.outside import settings_kept
from bench.plugins import encoders
from bench.stages.memory import WIDTH
from bench.stages.session import Session
from bench.stages.work import Clustered, Distance, Embedded, Fitted, HeadStep, Inputs, Scored, Step, Unit

WORTH = 20.0
"""Rough seconds of a whole run from which a probe is worth its time."""
SECONDS = 3.0
"""Seconds after which no other unit is begun on a CPU, but for one that is most of the run."""
_BOX = 0.5
"""Seconds for one unit, after a first try that includes one-time costs."""
_SHARE = 0.01
"""Share of the rough total below which a unit is not worth a probe."""
_MOST = 0.5
"""Share of the rough total from which a unit is timed even then: encoders come first, and may take all the time."""
_FEW = 16
"""Number of inputs in the first step: a whole batch of a large network may take a minute."""
_ROWS = 3000
_FITTED = 256
"""Number of images to which an encoder that learns from the pool is fitted."""


def timed_units(counts: Mapping[Unit, float], session: Session, widths: Mapping[EncoderRef, int]) -> dict[Unit, float]:
    """Return the seconds of the units that matter most; units that fail, or are not reached in time, are left out.

    Args:
        counts: number of units of each kind in the run.
        session: gives device, threads and weights.
        widths: width of the embeddings of encoders for which it is known; other encoders are timed first.
    """
    rough = {unit: unit.rough() * count for unit, count in counts.items()}
    whole = sum(rough.values())
    if whole < WORTH:
        return {}
    from bench.training.precision import prepare_torch

    timed: dict[Unit, float] = {}
    probe = _Probe(session, widths)
    # Before the clock is started: the first look at a GPU opens it, which may take all of ``SECONDS``.
    worked = probe.now()
    begin = time.perf_counter()
    with settings_kept():
        prepare_torch(session.threads)
        for unit in sorted(rough, key=lambda unit: (not isinstance(unit, Embedded), -rough[unit])):
            # On a GPU every unit is timed: the rough seconds are a CPU's, hundreds of times as many.
            if session.device == "cpu":
                late = time.perf_counter() - begin > SECONDS
                if rough[unit] < (_MOST if late else _SHARE) * whole:
                    continue
            with suppress(Exception, SystemExit):  # the run itself will report the reason
                timed[unit] = probe.seconds(unit)
        # On a shared machine, a unit of a tenth of a second meets other load by chance; the whole probe does not.
        crowded = (time.perf_counter() - begin) / max(probe.now() - worked, 1e-6)
    return {unit: seconds * max(1.0, crowded) for unit, seconds in timed.items()}


class _Probe:
    """Times units one by one, and keeps the encoders that it makes."""

    def __init__(self, session: Session, widths: Mapping[EncoderRef, int]) -> None:
        self._session, self._device = session, session.device
        self._encoders: dict[EncoderRef, Encoder] = {}
        self._fits: dict[EncoderRef, float] = {}
        self._widths = dict(widths)
        self._rng = np.random.default_rng(0)

    def seconds(self, unit: Unit) -> float:
        match unit:
            case Step():
                return self._step(unit)
            case Scored():
                return self._scored(unit)
            case Embedded():
                return self._embedded(unit)
            case Fitted():
                return self._fitted(unit)
            case HeadStep():
                return self._head_step(unit)
            case Distance():
                return self._distance(unit)
            case Clustered():
                return self._clustered(unit)

    def now(self) -> float:
        """Return processor time per thread in seconds; on a GPU, wall time."""
        if self._device == "cpu":
            return time.process_time() / self._session.threads
        import torch

        torch.cuda.synchronize()
        return time.perf_counter()

    def _time_once(self, function: Callable[[], object]) -> float:
        begin = self.now()
        function()
        return self.now() - begin

    def _step(self, unit: Step) -> float:
        import torch

        from bench.training.fit import fresh_network, make_batches
        from bench.training.loop import train

        inputs = self._inputs(unit.inputs, unit.batch)
        network, generator = fresh_network(unit.model, inputs.shape[1:], unit.classes, seed=0, device=self._device)
        targets = np.arange(unit.batch) % unit.classes
        small = unit.recipe.model_copy(update={"lr": 1e-6, "lr_min": 0.0})  # random inputs at the real rate diverge

        def steps(count: int, images: int) -> float:
            batches = make_batches(inputs[:images], targets[:images], recipe=small, dataset=None, device=self._device)
            return self._time_once(lambda: train(network, batches, recipe=small, iterations=count, generator=generator))

        torch.manual_seed(0)
        few = min(unit.batch, _FEW)
        steps(1, few)
        first = steps(1, few)
        # The largest part of the batch that fits in the time, which grows in proportion to a large part.
        images = max(few, min(unit.batch, int(few * _BOX / max(first, 1e-6))))
        if images > few:
            first = steps(1, images)
        # Not one: the first step of a training, which touches new memory, takes a fifth longer than the others.
        again = max(3, min(20, int(_BOX / max(first, 1e-6))))
        return steps(again, images) / again * unit.batch / images

    def _scored(self, unit: Scored) -> float:
        from bench.training.fit import fresh_network, make_batches
        from bench.training.loop import evaluate
        from bench.training.precision import products

        inputs = self._inputs(unit.inputs, 256)
        network, _ = fresh_network(unit.model, inputs.shape[1:], unit.classes, seed=0, device=self._device)

        def score(count: int) -> float:
            batches = make_batches(
                inputs[:count], np.arange(count) % unit.classes, recipe=unit.recipe, dataset=None, device=self._device
            )
            with products(unit.recipe, scoring=True):
                return self._time_once(lambda: evaluate(network, batches, 1))

        score(_FEW)
        count = max(_FEW, min(256, int(_FEW * _BOX / max(score(_FEW), 1e-6))))
        return score(count) / count

    def _embedded(self, unit: Embedded) -> float:
        first = self._embed(unit.encoder, unit.image, 2)
        count = max(2, min(64, int(2 * _BOX / max(first, 1e-6))))
        return self._embed(unit.encoder, unit.image, count) / count

    def _fitted(self, unit: Fitted) -> float:
        entry = encoders.get(unit.encoder.name)
        assert entry.info.passes is not None
        self._encoder(unit.encoder, unit.image)
        return self._fits[unit.encoder] / _FITTED / entry.info.passes(entry.resolve(unit.encoder.params))

    def _encoder(self, ref: EncoderRef, image: tuple[int, ...]) -> Encoder:
        if ref not in self._encoders:
            self._encoders[ref] = encoder = make_encoder(ref, self._session.weights_of(ref))
            if isinstance(encoder, FittedEncoder):
                images = self._rng.integers(0, 256, (_FITTED, *image), dtype=np.uint8)
                begin = self.now()
                try:
                    encoder.restore(encoder.fit(images, device=self._device))
                finally:  # fitting to random images may fail, but takes as long
                    self._fits[ref] = self.now() - begin
        return self._encoders[ref]

    def _embed(self, ref: EncoderRef, image: tuple[int, ...], count: int) -> float:
        encoder, images = self._encoder(ref, image), self._rng.integers(0, 256, (count, *image), dtype=np.uint8)
        embedded: list[NDArray[np.float32]] = []
        seconds = self._time_once(lambda: embedded.append(encoder.embed(images, device=self._device, batch_size=256)))
        self._widths[ref] = embedded[0].shape[1]
        return seconds

    def _head_step(self, unit: HeadStep) -> float:
        from bench.clustering.temi import Effort, temi

        # A CPU trains heads one after the other, a GPU all at once.
        steps, heads = 3, 2 if self._device == "cpu" else 50
        points = self._embeddings(unit.encoder, steps * unit.batch)
        near = self._rng.integers(0, len(points), (len(points), 5))
        ends: list[float] = []
        temi(
            points,
            near,
            unit.clusters,
            Effort(heads, 2, unit.batch),
            device=self._device,
            precision=unit.precision,
            progress=lambda done, total: ends.append(self.now()),
        )
        # The second epoch alone: before the first, the weights are drawn, which for 50 heads takes seconds of the CPU.
        return (ends[1] - ends[0]) / steps / heads

    def _distance(self, unit: Distance) -> float:
        from bench.knn import nearest_neighbors

        rows = self._embeddings(unit.encoder, _ROWS)
        return (
            self._time_once(
                lambda: nearest_neighbors(rows, 50, threads=self._session.threads, device=self._session.device)
            )
            / _ROWS**2
        )

    def _clustered(self, unit: Clustered) -> float:
        from bench.clustering.kmeans import fit_kmeans

        rows = self._embeddings(unit.encoder, max(_ROWS // 3, unit.clusters))
        rows = rows if unit.width is None else rows[:, : unit.width]
        return self._time_once(lambda: fit_kmeans(rows, unit.clusters, seed=0, inits=1)) / len(rows)

    def _inputs(self, inputs: Inputs, count: int) -> NDArray[np.uint8] | NDArray[np.float32]:
        if isinstance(inputs, EncoderRef):
            return self._embeddings(inputs, count)
        return self._rng.integers(0, 256, (count, *inputs), dtype=np.uint8)

    def _embeddings(self, ref: EncoderRef, count: int) -> NDArray[np.float32]:
        return self._rng.standard_normal((count, self._widths.get(ref, WIDTH)), dtype=np.float32)
