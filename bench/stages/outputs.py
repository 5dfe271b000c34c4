"""Outputs of the proxy's network for the pool, after training on all its labels or on those that a method revealed."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from bench.data import read_only
from bench.parts import OUTPUTS, TrainedNetwork
from bench.pool import Asked, Outputs
from bench.stages.dynamics import OnProxy, normalised_by, proxy_inputs, read_proxy_inputs
from bench.stages.givers import Giver, Givers, read_arrays
from bench.stages.memory import Estimate, Shape, of_training
from bench.stages.work import Work, steps_of_epochs, training_work

if TYPE_CHECKING:
    from bench.data import Arrays
    from bench.progress import Progress
    from bench.stages.selection import Selection
    from bench.stages.session import Session

_FEATURES = 2048
"""Number of penultimate features of the widest network of the harness, for estimates."""


class PoolOutputs(OnProxy):
    """Probabilities and penultimate features of a proxy trained on the whole pool with its true labels.

    Attributes:
        epochs: passes over the pool, at most the proxy's; None for the proxy's number.
    """

    kind: ClassVar[str] = "outputs"
    version: ClassVar[int] = 1
    epochs: int | None

    @classmethod
    def of(cls, selection: Selection, options: TrainedNetwork) -> PoolOutputs:
        """Return those of a selection's proxy."""
        proxy = selection.network()
        # More epochs than the proxy's mean the proxy's, so that both give one stage.
        short = options.epochs is not None and options.epochs < proxy.recipe.proxy_epochs
        epochs = options.epochs if short else None
        return cls(dataset=selection.dataset, proxy=proxy, epochs=epochs, seed=selection.seed)

    def title(self) -> str:
        after = "" if self.epochs is None else f" after {self.epochs} epochs"
        return f"outputs of {self.proxy.model.label} on {self.dataset.label}{after}, seed {self.seed}"

    def estimate(self, shape: Shape, device: str) -> Estimate:
        """Count a training, and its stored outputs."""
        data, network = self.training_bytes(shape)
        stored = 4 * shape.train * (self.dataset.num_classes + _FEATURES)
        return of_training(data, network + stored, stored, device)

    def work(self, shape: Shape) -> list[Work]:
        """Return the steps of the training, and a pass that reads the outputs."""
        recipe = self.proxy.recipe
        if self.epochs is not None:
            recipe = recipe.model_copy(update={"proxy_epochs": self.epochs})
        steps = steps_of_epochs(recipe, shape.train)
        inputs = self.proxy.encoder or shape.image
        return training_work(self.proxy.model, recipe, inputs, self.dataset, shape.train, steps, scored=shape.train)

    def compute(self, session: Session, progress: Progress) -> Arrays:
        """Return ``probabilities``, float32 [N, C], and ``features``, float32 [N, D]."""
        from bench.training.proxy import trained_outputs

        dataset = session.dataset(self.dataset)
        outputs = trained_outputs(
            self.proxy,
            read_proxy_inputs(self.proxy, self.dataset, session),
            np.arange(len(dataset.train)),
            dataset.train.labels,
            num_classes=dataset.num_classes,
            dataset=normalised_by(self.proxy, self.dataset, session),
            seed=self.seed,
            device=session.device,
            epochs=self.epochs,
        )
        return outputs._asdict()


def _outputs(selection: Selection, session: Session, options: TrainedNetwork, asked: Asked) -> Outputs:
    """Return the stage's outputs, or train on the revealed labels; no stage, since each round has another network."""
    from bench.training.proxy import trained_outputs

    if options.on == "pool":
        return Outputs(**read_arrays(session, PoolOutputs.of(selection, options)))
    dataset, proxy, [indices] = session.dataset(selection.dataset), selection.network(), asked.indices
    outputs = trained_outputs(
        proxy,
        read_proxy_inputs(proxy, selection.dataset, session),
        indices,
        dataset.train.labels[indices],
        num_classes=dataset.num_classes,
        dataset=dataset,
        seed=selection.seed,
        device=session.device,
    )
    return Outputs(*map(read_only, outputs))


GIVERS: Givers = {
    OUTPUTS.name: Giver(
        _outputs,
        lambda selection, options: (
            [PoolOutputs.of(selection, options)]
            if options.on == "pool"
            else proxy_inputs(selection.network(), selection.dataset)
        ),
        lambda selection, options: options.on == "revealed",
    )
}
