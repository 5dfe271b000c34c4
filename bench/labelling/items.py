"""The user's items as a pool: only embeddings, and no label that a method could read."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NoReturn, cast

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict

from bench.code_digest import code_digest
from bench.data import Arrays, Dataset, Split, private, read_only
from bench.errors import LabelAccessError, SelectionError
from bench.grammar import Call
from bench.identity import DatasetRef, EncoderRef, ModelRef, Proxy
from bench.labelling.approximate import approximate_neighbors, worthwhile
from bench.labelling.rows import Rows, in_blocks
from bench.parts import EMBEDDINGS, IMAGES, Chosen, Part, Value
from bench.plugins import encoders, methods, models
from bench.pool import NOTHING, Asked
from bench.progress import Progress
from bench.recipe import Recipe
from bench.selection import rate_for
from bench.stages.base import Stage
from bench.stages.clusters import ClusterCount, PseudoLabels
from bench.stages.dynamics import ProxyDynamics
from bench.stages.embeddings import Embeddings
from bench.stages.judging import JudgeFeatures, Labelings
from bench.stages.neighbors import NeighborLists
from bench.stages.rehearsal import Rehearsal
from bench.stages.selection import Selection
from bench.stages.session import Session
from bench.stages.source import StageSource
from bench.store.cache import Artifact

GIVEN = "given"
"""The registered encoder that stands for the user's embeddings."""
_LARGE = 10_000
_PROBE = "linear_probe"


class ApproximateLists(NeighborLists):
    """Most of the nearest neighbours, for pools in which comparing all pairs would take hours."""

    kind: ClassVar[str] = "approximate-neighbors"
    version: ClassVar[int] = 1

    def compute(self, session: Session, progress: Progress) -> Arrays:
        """Return ``indices`` and ``distances`` as ``NeighborLists`` does, and the measured ``recall``."""
        assert isinstance(session, ItemsSession)
        near = approximate_neighbors(session.vectors, self.k, self.metric, threads=session.threads, progress=progress)
        return {**near.neighbors._asdict(), "recall": np.array(near.recall)}


class ItemsSession(Session):
    """Stages on one matrix of embeddings, computed in this process and stored, so that a selection can resume.

    Attributes:
        vectors: ``Rows`` [N, D].
        begin: starts a progress bar of a given title and returns its update function.
    """

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    vectors: Any
    begin: Callable[[str], Progress]

    def get(self, stage: Stage) -> Artifact:
        """Return a stage's artifact; embeddings are the user's, and neighbours in a very large pool are approximate."""
        if isinstance(stage, Embeddings):
            # Not through the store, which would keep a second copy of the user's data.
            return Artifact({"embeddings": self.vectors[:]}, 0.0, reused=True)
        if type(stage) is NeighborLists and worthwhile(len(self.vectors)):
            stage = ApproximateLists(embeddings=stage.embeddings, k=stage.k, metric=stage.metric)

        def produce() -> Arrays:
            for needed in stage.inputs():  # first, so that each stage has its own progress bar
                if not isinstance(needed, Embeddings):
                    self.get(needed)
            return self.compute(stage, self.begin(_in_plain_words(stage)))

        return self.store.get(stage, produce)

    def source(self, selection: Selection) -> StageSource:
        """Return the pool's parts; a method gets copies of the caller's embeddings."""
        return _ItemsSource(selection, self)

    def dataset(self, ref: DatasetRef) -> NoReturn:
        """Refuse access: the items have no labels, and every use of a data set reads labels too."""
        raise LabelAccessError("the method reads labels, and unlabelled items have none; choose a label-free method.")


def _in_plain_words(stage: Stage) -> str:
    """Return what a stage does, in words for a user who wants to label images and does not know stages."""
    match stage:
        case Selection():
            return f"choosing by {Call(stage.method, dict(stage.params))}"
        case NeighborLists():
            return f"finding the {stage.k} nearest neighbours of each item"
        case ClusterCount():
            return "estimating the number of clusters"
        case PseudoLabels():
            return f"clustering the items by {stage.how()}"
        case ProxyDynamics():
            return "training a small network on the clusters to see how hard each item is"
        case Rehearsal():
            return "trying out choices on the clusters"
        case Labelings() | JudgeFeatures():
            return "preparing to judge choices without labels"
    return stage.title()


class _ItemsSource(StageSource):
    def read(self, part: Part[Chosen, Value], options: Chosen, asked: Asked = NOTHING) -> Value:
        if part.name == IMAGES.name:
            raise SelectionError("the method reads images; `bench select` gives a method embeddings only.")
        if part.name != EMBEDDINGS.name:
            return super().read(part, options, asked)
        vectors = self._session.vectors  # type: ignore[attr-defined]
        # Rows read from a file are a copy already, and a second copy may not fit into memory.
        return cast("Value", private(vectors) if isinstance(vectors, np.ndarray) else read_only(vectors[:]))


def items_selection(vectors: Rows, call: Call, *, budget: int, classes: int, seed: int) -> Selection:
    """Return the stage in which a method selects from embeddings, identified by their content.

    Args:
        vectors: float32 [N, D].
        call: the method with the parameters that were set.
        budget: n, items to select.
        classes: approximate number of classes, and the number of clusters unless the method sets another.
        seed: seed of everything random.
    """
    entry = methods.get(call.name)
    items = DatasetRef(
        name="items",
        fingerprint=_fingerprint(vectors),
        num_classes=classes,
        size=len(vectors),
    )
    encoder = EncoderRef(name=GIVEN, version=encoders.get(GIVEN).info.version)
    return Selection(
        dataset=items,
        method=call.name,
        params=entry.changed(call.params),
        code=entry.code or code_digest(entry.function, entry.info.version),
        encoder=encoder,
        proxy=proxy_for(len(vectors)).model_copy(update={"encoder": encoder}),
        rate=rate_for(budget, len(vectors)),
        budget=budget,
        seed=seed,
    )


def _fingerprint(vectors: Rows) -> str:
    """Return the SHA-256 of the numbers as float32, and of the approximate search if the pool needs it."""
    digest = hashlib.sha256()
    if worthwhile(len(vectors)):
        digest.update(f"{ApproximateLists.kind} {ApproximateLists.version}".encode())
    for _, part in in_blocks(vectors):
        digest.update(np.ascontiguousarray(part).data)
    return digest.hexdigest()


def proxy_for(size: int) -> Proxy:
    """Return a linear probe on the embeddings of ``size`` items, which needs no images and takes seconds on a CPU."""
    recipe = Recipe(
        proxy_epochs=30,
        batch_size=256 if size < _LARGE else 1024,
        augmentation="none",
        crop_padding=0,
        evaluations=1,
        precision="fp32",
    )
    return Proxy(model=ModelRef(name=_PROBE, version=models.get(_PROBE).info.version), recipe=recipe)


@dataclass(frozen=True)
class ComputeSettings:
    """Cache, device and threads of a choice.

    Attributes:
        cache: folder of the shared stages.
        device: ``cpu`` or ``cuda``.
        threads: CPU threads.
        begin: starts a progress bar of a given title and returns its update function.
    """

    cache: Path
    device: str
    threads: int
    begin: Callable[[str], Progress]

    def session(self, vectors: Rows) -> ItemsSession:
        """Return the session that finds and computes the stages on these embeddings."""
        return ItemsSession(
            out=self.cache,
            cache=self.cache,
            device=self.device,
            threads=self.threads,
            vectors=vectors,
            begin=self.begin,
        )


def embed_images(
    images: NDArray[np.uint8], encoder: Call, cache: Path, *, device: str, threads: int
) -> NDArray[np.float32]:
    """Return the embeddings of images in memory, stored by the images' content.

    Args:
        images: uint8 [N, C, H, W].
        encoder: the encoder's name and parameters, and optionally ``weights=FILE``.
        cache: folder of the shared stages.
        device: ``cpu`` or ``cuda``.
        threads: CPU threads.

    Returns:
        float32 [N, D].

    Raises:
        WeightsError: the weights are missing, damaged or do not fit.
    """
    from bench.engine.plan import find_encoder

    ref, weights = find_encoder(encoder, False, needed=True)
    # With the shape: the same bytes in another shape are other images.
    digest = hashlib.sha256(repr(images.shape).encode() + images.tobytes()).hexdigest()
    pool = DatasetRef(name="items", fingerprint=digest, size=len(images))
    session = _ImagesSession(
        out=cache,
        cache=cache,
        device=device,
        threads=threads,
        weights={} if weights is None else {ref.label: weights},
        images=images,
    )
    return session.arrays(Embeddings(dataset=pool, encoder=ref))["embeddings"]


class _ImagesSession(Session):
    """One array of images without labels."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    images: Any

    def dataset(self, ref: DatasetRef) -> Dataset:
        # -1 is no class, so code that reads these labels by mistake cannot find a right one.
        unknown = Split(self.images, np.full(len(self.images), -1))
        return Dataset(
            train=unknown,
            test=Split(self.images[:0], np.empty(0, dtype=np.int64)),
            class_names=(),
            mean=(0.0,),
            std=(1.0,),
            pool_index=np.arange(len(self.images)),
        )
