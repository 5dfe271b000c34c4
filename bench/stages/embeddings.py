"""Embeddings of a data set's images, and the fit of encoders that learn from the pool first."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from bench.errors import DataError
from bench.identity import DatasetRef, EncoderRef
from bench.parts import EMBEDDINGS
from bench.plugins import encoders
from bench.stages.base import OnDataset, Stage
from bench.stages.givers import Givers, gives
from bench.stages.memory import PROCESS, WIDTH, Estimate, Shape
from bench.stages.work import Embedded, Fitted, Work

if TYPE_CHECKING:
    from bench.data import Arrays, Images
    from bench.embedding.encoder import Encoder
    from bench.progress import Progress
    from bench.stages.session import Session

_FITTED = 50 * 10**6
"""Estimated bytes on disk of the state of a fitted encoder."""
# A convention: the embeddings do not depend on it, and on a CPU a frozen network takes fewer images at once.
_BATCH = 256


class EncoderFit(OnDataset):
    """The state that a ``fitted`` encoder learned from the pool's images; the embeddings of both splits need it."""

    kind: ClassVar[str] = "encoder"
    encoder: EncoderRef

    def uses_gpu(self) -> bool:
        return encoders.get(self.encoder.name).info.gpu

    def title(self) -> str:
        return f"{self.encoder.label} fitted to the images of {self.dataset.label}"

    def estimate(self, shape: Shape, device: str) -> Estimate:
        """Count the data set, a copy of the images for the encoder, and the memory that it declares."""
        entry = encoders.get(self.encoder.name)
        # The encoder declares the memory of its fit, since only it knows its networks and statistics.
        declared = entry.info.memory(entry.resolve(self.encoder.params), shape.train, shape.image)
        return Estimate(PROCESS + shape.bytes + shape.train * shape.per_image + declared, _FITTED)

    def work(self, shape: Shape) -> list[Work] | None:
        """Count the passes over the pool that the encoder declares; statistics of pixels take hardly any time."""
        entry = encoders.get(self.encoder.name)
        if entry.info.passes is None:
            return None if self.uses_gpu() else []
        passes = entry.info.passes(entry.resolve(self.encoder.params))
        return [Work(Fitted(self.encoder, shape.image), passes * shape.train)]

    def compute(self, session: Session, progress: Progress) -> Arrays:
        """Return the encoder's state, in arrays that it names; the encoder sees only images."""
        from bench.embedding.encoder import FittedEncoder

        encoder = _encoder(self.encoder, session)
        assert isinstance(encoder, FittedEncoder)
        # Only the training split, whichever split is embedded: a fit on test images would leak them.
        images = session.dataset(self.dataset).train.images
        return encoder.fit(_for_a_plugin(images), device=session.device, progress=progress)


class Embeddings(OnDataset):
    """Embeddings of one split; an encoder that must be fitted is fitted to the pool."""

    kind: ClassVar[str] = "embeddings"
    version: ClassVar[int] = 2
    encoder: EncoderRef
    split: Literal["train", "test"] = "train"

    def inputs(self) -> list[Stage]:
        fitted = encoders.get(self.encoder.name).info.fitted
        return [EncoderFit(dataset=self.dataset, encoder=self.encoder)] if fitted else []

    def uses_gpu(self) -> bool:
        return encoders.get(self.encoder.name).info.gpu

    def title(self) -> str:
        return f"embeddings of {self.dataset.label} ({self.split}) by {self.encoder.label}"

    def estimate(self, shape: Shape, device: str) -> Estimate:
        """Count data set, a copy of the images for the encoder, and the embeddings twice; GPU memory is not known."""
        rows = shape.test if self.split == "test" else shape.train
        return Estimate(PROCESS + shape.bytes + rows * (shape.per_image + 2 * WIDTH * 4), rows * WIDTH * 4)

    def work(self, shape: Shape) -> list[Work]:
        return [Work(Embedded(self.encoder, shape.image), shape.test if self.split == "test" else shape.train)]

    def compute(self, session: Session, progress: Progress) -> Arrays:
        """Return ``embeddings``, float32 [N, D]."""
        from bench.embedding.encoder import FittedEncoder
        from bench.progress import by_steps

        encoder = _encoder(self.encoder, session)
        # At most one: an encoder is fitted once per pool, and that fit embeds both splits.
        for fitted in self.inputs():
            assert isinstance(encoder, FittedEncoder)
            encoder.restore(session.arrays(fitted))
        images = _for_a_plugin(getattr(session.dataset(self.dataset), self.split).images)
        advance = by_steps(progress, len(images))
        embeddings = encoder.embed(images, device=session.device, batch_size=_BATCH, progress=advance)
        # Checked before they are stored; otherwise every dependent stage would read the NaN again and again.
        if not np.isfinite(embeddings).all():
            raise DataError(f"encoder {self.encoder.label} gave embeddings that are not finite.")
        return {"embeddings": embeddings}


class OnEmbeddings(Stage):
    """A stage that reads the embeddings of one pool; by default it reads nothing else and uses no GPU."""

    embeddings: Embeddings

    @property
    def pool(self) -> DatasetRef:
        return self.embeddings.dataset

    def inputs(self) -> list[Stage]:
        return [self.embeddings]

    def uses_gpu(self) -> bool:
        return False


def _encoder(ref: EncoderRef, session: Session) -> Encoder:
    from bench.embedding.encoder import make_encoder

    return make_encoder(ref, session.weights_of(ref))


def _for_a_plugin(images: Images) -> Images:
    """Return a copy of images in memory, which later stages read, or a view of files that hides their names."""
    from bench.data import ImageView, private

    return private(images) if isinstance(images, np.ndarray) else ImageView(images)


GIVERS: Givers = {
    EMBEDDINGS.name: gives(
        lambda selection, options: selection.embeddings(), lambda arrays, options: arrays["embeddings"]
    )
}
