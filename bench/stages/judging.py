"""The inputs of the judge of coresets: labelings of the pool, and features of the final model's inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from bench.judging.labelings import COMPONENTS, STARTS, cluster_numbers
from bench.parts import JUDGE, Judging
from bench.stages.base import OnDataset, Stage
from bench.stages.dynamics import normalised_by, proxy_inputs, read_proxy_inputs
from bench.stages.embeddings import Embeddings, OnEmbeddings
from bench.stages.givers import Giver, Givers
from bench.stages.memory import PROCESS, Estimate, Shape
from bench.stages.work import Clustered, Work
from bench.units import counted

if TYPE_CHECKING:
    from bench.data import Arrays
    from bench.pool import Asked
    from bench.progress import Progress
    from bench.stages.selection import Selection
    from bench.stages.session import Session


class Labelings(OnEmbeddings):
    """Clusterings of the pool that no score depends on, shared by all candidates, methods and rates."""

    kind: ClassVar[str] = "labelings"
    num_classes: int
    seed: int

    @classmethod
    def of(cls, selection: Selection) -> Labelings:
        """Return the labelings by which a selection's candidates are judged."""
        classes = selection.dataset.num_classes
        return cls(embeddings=selection.embeddings(), num_classes=classes, seed=selection.seed)

    def title(self) -> str:
        source = self.embeddings
        return f"labelings of {source.dataset.label} by {source.encoder.label} for the judge, seed {self.seed}"

    def estimate(self, shape: Shape, device: str) -> Estimate:
        # Nine labelings of int64: three numbers of clusters with three starts each.
        return Estimate(PROCESS + 3 * shape.embeddings, 9 * 8 * shape.train)

    def work(self, shape: Shape) -> list[Work]:
        encoder, size = self.embeddings.encoder, shape.train
        counts = cluster_numbers(self.num_classes, size) if size else []
        return [Work(Clustered(encoder, count, COMPONENTS), STARTS * size) for count in counts]

    def compute(self, session: Session, progress: Progress) -> Arrays:
        """Return ``labelings``, int64 [L, N]."""
        from bench.judging.labelings import make_labelings

        embeddings = session.arrays(self.embeddings)["embeddings"]
        return {"labelings": make_labelings(embeddings, self.num_classes, seed=self.seed, progress=progress)}


class JudgeFeatures(OnDataset):
    """Features of the final model's inputs: of images, or of embeddings."""

    kind: ClassVar[str] = "judge-features"
    embeddings: Embeddings | None
    seed: int

    @classmethod
    def of(cls, selection: Selection) -> JudgeFeatures:
        """Return the ridge judge's features of the inputs of a selection's proxy."""
        # The judge reads no label of the pool, so noise in the labels changes no candidate's value.
        embeddings = proxy_inputs(selection.network(), selection.dataset)
        images = selection.dataset.without_noise()
        if embeddings:
            return cls(dataset=images, embeddings=embeddings[0], seed=0)  # these features are not random
        return cls(dataset=images, embeddings=None, seed=selection.seed)

    def inputs(self) -> list[Stage]:
        return [] if self.embeddings is None else [self.embeddings]

    @property
    def what(self) -> Literal["images", "embeddings"]:
        """Kind of inputs that the features describe."""
        return "images" if self.embeddings is None else "embeddings"

    def uses_gpu(self) -> bool:
        return False

    def title(self) -> str:
        if self.embeddings is not None:
            return f"features of embeddings by {self.embeddings.encoder.label} of {self.dataset.label} for the judge"
        return f"features of images of {self.dataset.label} for the judge, seed {self.seed}"

    def estimate(self, shape: Shape, device: str) -> Estimate:
        """Count averaged pixels and features in float64, and the stored features."""
        # 512 random features and a constant, in float32.
        features = shape.train * 513 * 4 if self.embeddings is None else shape.embeddings
        # Room for four arrays of that size in float64, for products, cosines and the constant column.
        return Estimate(PROCESS + shape.bytes + 8 * features, features)

    def compute(self, session: Session, progress: Progress) -> Arrays:
        """Return ``features``, float32 [N, F]."""
        from bench.judging.ridge import embedding_features, image_features

        if self.embeddings is not None:
            return {"features": embedding_features(session.arrays(self.embeddings)["embeddings"])}
        return {"features": image_features(session.dataset(self.dataset).train.images, seed=self.seed)}


def _stages(selection: Selection, options: Judging) -> list[Stage]:
    """Return the labelings, and the inputs of the proxy's network or features of them."""
    if options.by == "network":
        return [Labelings.of(selection), *proxy_inputs(selection.network(), selection.dataset)]
    return [Labelings.of(selection), JudgeFeatures.of(selection)]


def _judge(selection: Selection, session: Session, options: Judging, asked: Asked) -> NDArray[np.float64]:
    labelings = session.arrays(Labelings.of(selection))["labelings"]
    if options.by == "network":
        from bench.judging.network import qualities
        from bench.progress import announced

        proxy, dataset = selection.network(), selection.dataset.without_noise()
        title = f"judging {counted(len(asked.indices), 'candidate')} for the {selection.title()}"
        # The method is what runs, and knows nothing of the judge's steps.
        with announced(session.underway, f"{selection.key}-judge", title) as progress:
            return qualities(
                proxy,
                read_proxy_inputs(proxy, dataset, session),
                labelings,
                asked.indices,
                dataset=normalised_by(proxy, dataset, session),
                seed=selection.seed,
                device=session.device,
                progress=progress,
            )
    from bench.judging.ridge import PENALTY, quality

    stage = JudgeFeatures.of(selection)
    features, penalty = session.arrays(stage)["features"], PENALTY[stage.what]
    return np.array([quality(features, labelings, indices, penalty) for indices in asked.indices])


GIVERS: Givers = {JUDGE.name: Giver(_judge, _stages, lambda selection, options: options.by == "network")}
