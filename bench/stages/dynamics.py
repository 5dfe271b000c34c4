"""Training dynamics of a proxy on the whole pool."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from bench.dynamics import Dynamics
from bench.identity import DatasetRef, Proxy
from bench.parts import DYNAMICS, TrainedOn
from bench.stages.base import OnDataset, Stage
from bench.stages.clusters import PseudoLabels
from bench.stages.embeddings import Embeddings
from bench.stages.givers import Givers, gives
from bench.stages.memory import Estimate, Shape, of_training, training_bytes
from bench.stages.work import Work, steps_of_epochs, training_work

if TYPE_CHECKING:
    from bench.data import Arrays, Dataset
    from bench.progress import Progress
    from bench.stages.selection import Selection
    from bench.stages.session import Session


class OnProxy(OnDataset):
    """A stage that trains the proxy on the whole pool.

    Attributes:
        dataset: the pool.
        proxy: the network and its recipe.
        seed: seed of the initial weights, the order of images and the augmentation.
    """

    proxy: Proxy
    seed: int

    def inputs(self) -> list[Stage]:
        return list(proxy_inputs(self.proxy, self.dataset))

    def training_bytes(self, shape: Shape) -> tuple[int, int]:
        """Return ``bench.stages.memory.training_bytes`` for the proxy on the whole pool."""
        return training_bytes(self.proxy.model, self.proxy.recipe, shape, self.dataset, shape.train)


class ProxyDynamics(OnProxy):
    """Training dynamics of a proxy on the whole pool, trained on true labels or on pseudo-labels."""

    kind: ClassVar[str] = "dynamics"
    version: ClassVar[int] = 4
    pseudo_labels: PseudoLabels | None

    @classmethod
    def of(cls, selection: Selection, options: TrainedOn) -> ProxyDynamics:
        """Return those of a selection's proxy; on pseudo-labels they do not depend on replaced labels (``@noise``)."""
        source = PseudoLabels.of(selection, options) if options.of == "pseudo" else None
        dataset = selection.dataset if source is None else selection.dataset.without_noise()
        return cls(dataset=dataset, pseudo_labels=source, proxy=selection.network(), seed=selection.seed)

    def inputs(self) -> list[Stage]:
        return [*([] if self.pseudo_labels is None else [self.pseudo_labels]), *super().inputs()]

    def title(self) -> str:
        source = self.pseudo_labels
        labels = "true labels" if source is None else f"{source.how()} of {source.embeddings.encoder.label}"
        return f"proxy {self.proxy.model.label} on {self.dataset.label}, {labels}, seed {self.seed}"

    def estimate(self, shape: Shape, device: str) -> Estimate:
        from bench.training.tdds import outputs_bytes

        data, network = self.training_bytes(shape)
        # TDDS needs the outputs of several epochs at once, which the recorder holds.
        outputs = outputs_bytes(shape.train, self.dataset.num_classes)
        # 19 numbers per image of at most 4 bytes, and room for more.
        return of_training(data, network + outputs, 128 * shape.train, device)

    def work(self, shape: Shape) -> list[Work]:
        steps = steps_of_epochs(self.proxy.recipe, shape.train)
        inputs = self.proxy.encoder or shape.image
        return training_work(self.proxy.model, self.proxy.recipe, inputs, self.dataset, shape.train, steps)

    def compute(self, session: Session, progress: Progress) -> Arrays:
        """Return the arrays of ``Dynamics``."""
        from bench.training.proxy import observe_dynamics

        targets, classes = self.targets(session)
        observed = observe_dynamics(
            self.proxy,
            read_proxy_inputs(self.proxy, self.dataset, session),
            targets,
            num_classes=classes,
            dataset=normalised_by(self.proxy, self.dataset, session),
            seed=self.seed,
            device=session.device,
            progress=progress,
        )
        return observed.arrays()

    def targets(self, session: Session) -> tuple[NDArray[np.int64], int]:
        """Return the targets of the proxy's training, int64 [N], and its number of outputs."""
        if self.pseudo_labels is None:
            dataset = session.dataset(self.dataset)
            return dataset.train.labels, dataset.num_classes
        return session.arrays(self.pseudo_labels)["labels"], self.pseudo_labels.count(session)


def proxy_inputs(proxy: Proxy, dataset: DatasetRef) -> list[Embeddings]:
    """Return the embeddings that the proxy's network reads; none if it reads images."""
    # Embeddings do not depend on labels, so that pools with and without ``@noise`` share them.
    return [] if proxy.encoder is None else [Embeddings(dataset=dataset.without_noise(), encoder=proxy.encoder)]


def read_proxy_inputs(proxy: Proxy, dataset: DatasetRef, session: Session) -> Any:
    """Return the pool's images, uint8 [N, C, H, W], or the embeddings of ``proxy_inputs``, float32 [N, D]."""
    for stage in proxy_inputs(proxy, dataset):
        return session.arrays(stage)["embeddings"]
    return session.dataset(dataset).train.images


def normalised_by(proxy: Proxy, dataset: DatasetRef, session: Session) -> Dataset | None:
    """Return the data set whose mean and standard deviation normalise images; None for a proxy of embeddings."""
    return session.dataset(dataset) if proxy.encoder is None else None


GIVERS: Givers = {DYNAMICS.name: gives(ProxyDynamics.of, lambda arrays, options: Dynamics.from_arrays(arrays))}
