"""The user's own items as a pool: embeddings are all there is, and no label exists that a method could read."""

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
"""The registered encoder that stands for embeddings that were given."""
_LARGE = 10_000
_PROBE = "linear_probe"


class ApproximateLists(NeighborLists):
    """Most of the nearest neighbours, where comparing all pairs would take hours (``bench.labelling.approximate``)."""

    kind: ClassVar[str] = "approximate-neighbors"
    version: ClassVar[int] = 1

    def compute(self, session: Session, progress: Progress) -> Arrays:
        """Return ``indices`` and ``distances`` as ``NeighborLists``; ``recall`` as ``approximate_neighbors``."""
        assert isinstance(session, ItemsSession)
        near = approximate_neighbors(session.vectors, self.k, self.metric, threads=session.threads, progress=progress)
        return {**near.neighbors._asdict(), "recall": np.array(near.recall)}


class ItemsSession(Session):
    """Stages on one matrix of embeddings, computed in this process and stored: an interrupted selection resumes.

    Attributes:
        vectors: ``Rows`` [N, D].
        begin: starts a progress bar of that title; returns its update function.
    """

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    vectors: Any
    begin: Callable[[str], Progress]

    def get(self, stage: Stage) -> Artifact:
        """As ``Session.get``; the embeddings are those that were given, and of very many neighbours are approximate."""
        if isinstance(stage, Embeddings):
            # Not through the store, which would hold a second copy of what the user has.
            return Artifact({"embeddings": self.vectors[:]}, 0.0, reused=True)
        if type(stage) is NeighborLists and worthwhile(len(self.vectors)):
            stage = ApproximateLists(embeddings=stage.embeddings, k=stage.k, metric=stage.metric)

        def produce() -> Arrays:
            for needed in stage.inputs():  # first, so that the two are told apart in the progress
                if not isinstance(needed, Embeddings):
                    self.get(needed)
            return self.compute(stage, self.begin(_in_plain_words(stage)))

        return self.store.get(stage, produce)

    def source(self, selection: Selection) -> StageSource:
        """Return the pool's parts; a method gets copies of the caller's embeddings."""
        return _ItemsSource(selection, self)

    def dataset(self, ref: DatasetRef) -> NoReturn:
        """Refused: the items have no labels, and whoever wants their images reads labels too."""
        raise LabelAccessError("the method reads labels, and unlabelled items have none; choose a label-free method.")


def _in_plain_words(stage: Stage) -> str:
    """Say what a stage does, to somebody who wants to label images and knows nothing of stages."""
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
            return "training a small network on the clusters, which tells how hard each item is"
        case Rehearsal():
            return "trying choices out on the clusters"
        case Labelings() | JudgeFeatures():
            return "preparing to judge choices without labels"
    return stage.title()


class _ItemsSource(StageSource):
    def read(self, part: Part[Chosen, Value], options: Chosen, asked: Asked = NOTHING) -> Value:
        if part.name == IMAGES.name:
            raise SelectionError("the method reads images; `bench select` gives a method embeddings only.")
        if part.name != EMBEDDINGS.name:
            return super().read(part, options, asked)
        given = self._session.vectors  # type: ignore[attr-defined]
        # What is read from a file is the method's own already: a second copy may not fit.
        return cast("Value", private(given) if isinstance(given, np.ndarray) else read_only(given[:]))


def items_selection(vectors: Rows, call: Call, *, budget: int, classes: int, seed: int) -> Selection:
    """Return the selection of a method from embeddings, identified by their content.

    Args:
        vectors: float32 [N, D].
        call: the method with the parameters that were set.
        budget: n, items to keep.
        classes: about how many classes the items have, and so clusters, unless the method sets their number.
        seed: of everything random.
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
    """SHA-256 of the numbers as float32, whatever they are stored as, and of how neighbours are found in so many."""
    digest = hashlib.sha256()
    if worthwhile(len(vectors)):
        digest.update(f"{ApproximateLists.kind} {ApproximateLists.version}".encode())
    for _, part in in_blocks(vectors):
        digest.update(np.ascontiguousarray(part).data)
    return digest.hexdigest()


def proxy_for(size: int) -> Proxy:
    """Return a linear probe on the embeddings of ``size`` items: seconds on a CPU, and no images are needed."""
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
class Machine:
    """What a choice is computed with.

    Attributes:
        cache: folder of the shared stages.
        device: ``cpu`` or ``cuda``.
        threads: CPU threads.
        begin: starts a progress bar of that title; returns its update function.
    """

    cache: Path
    device: str
    threads: int
    begin: Callable[[str], Progress]

    def session(self, vectors: Rows) -> ItemsSession:
        """Return where the stages on these embeddings are found and computed."""
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
    """Embeddings of images in memory, stored by the images' content.

    Args:
        images: uint8 [N, C, H, W].
        encoder: its name, parameters, and perhaps ``weights=FILE``.
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
    # With the shape: the same bytes as images of another height and width are other images.
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
    """One array of images, of which nothing but pixels is known."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    images: Any

    def dataset(self, ref: DatasetRef) -> Dataset:
        # -1 is no class: whoever reads these labels after all finds none that could be right.
        unknown = Split(self.images, np.full(len(self.images), -1))
        return Dataset(
            train=unknown,
            test=Split(self.images[:0], np.empty(0, dtype=np.int64)),
            class_names=(),
            mean=(0.0,),
            std=(1.0,),
            pool_index=np.arange(len(self.images)),
        )
