"""What the judge of coresets rests on: labelings of the pool, and features of what the final model sees."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from bench.refs import DatasetRef
from bench.stages.base import Stage
from bench.stages.embeddings import Embeddings, OnEmbeddings
from bench.stages.memory import PROCESS, Estimate, Shape

if TYPE_CHECKING:
    from bench.data import Arrays
    from bench.stages.session import Session
    from bench.underway import Progress


class Labelings(OnEmbeddings):
    """Clusterings of the pool that no score rests on, shared by all candidates, methods and rates."""

    kind: ClassVar[str] = "labelings"
    num_classes: int
    seed: int

    def title(self) -> str:
        source = self.embeddings
        return f"labelings of {source.dataset.label} by {source.encoder.label} for the judge, seed {self.seed}"

    def estimate(self, shape: Shape, device: str) -> Estimate:
        return Estimate(PROCESS + 3 * shape.embeddings, 9 * 8 * shape.train)

    def compute(self, session: Session, progress: Progress) -> Arrays:
        """``labelings`` int64 [L, N]."""
        from bench.judging.labelings import make_labelings

        embeddings = session.arrays(self.embeddings)["embeddings"]
        return {"labelings": make_labelings(embeddings, self.num_classes, seed=self.seed, progress=progress)}


class JudgeFeatures(Stage):
    """Features of what the final model sees: of images, or of the embeddings that it takes in their place."""

    kind: ClassVar[str] = "judge-features"
    dataset: DatasetRef
    embeddings: Embeddings | None
    seed: int

    @property
    def pool(self) -> DatasetRef:
        return self.dataset

    def inputs(self) -> list[Stage]:
        return [] if self.embeddings is None else [self.embeddings]

    @property
    def what(self) -> Literal["images", "embeddings"]:
        """What the features are of."""
        return "images" if self.embeddings is None else "embeddings"

    def uses_gpu(self) -> bool:
        return False

    def title(self) -> str:
        what = "images" if self.embeddings is None else f"embeddings by {self.embeddings.encoder.label}"
        return f"features of {what} of {self.dataset.label} for the judge, seed {self.seed}"

    def estimate(self, shape: Shape, device: str) -> Estimate:
        """Averaged pixels and features in float64, and as they are stored."""
        features = shape.train * 513 * 4 if self.embeddings is None else shape.embeddings
        return Estimate(PROCESS + shape.bytes + 8 * features, features)

    def compute(self, session: Session, progress: Progress) -> Arrays:
        """``features`` float32 [N, F]."""
        from bench.judging.ridge import embedding_features, image_features

        if self.embeddings is not None:
            return {"features": embedding_features(session.arrays(self.embeddings)["embeddings"])}
        return {"features": image_features(session.dataset(self.dataset).train.images, seed=self.seed)}
