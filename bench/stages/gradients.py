"""Gradient norms early in training (GraNd)."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, ClassVar

from bench.parts import GRADIENT_NORMS, EarlyGradients, Layers
from bench.stages.dynamics import OnProxy, read_proxy_inputs
from bench.stages.givers import Givers, gives
from bench.stages.memory import Estimate, Shape, of_training
from bench.stages.work import Work, steps_of_epochs, training_work

if TYPE_CHECKING:
    from bench.data import Arrays
    from bench.progress import Progress
    from bench.stages.selection import Selection
    from bench.stages.session import Session

_VMAP = 200 * 10**6
"""Bytes that torch loads for gradients per image on a CPU."""


class GradientNorms(OnProxy):
    """Norms of each pool image's loss gradient early in training on true labels, averaged over networks.

    Attributes:
        networks: number of networks to average over, each with its own initial weights and order of images.
        epochs: epochs of training before the gradients are taken, from 0 (at initialisation) to the proxy's.
        layers: take the gradient by all weights, or only by those of the last linear layer.
    """

    kind: ClassVar[str] = "gradient-norms"
    version: ClassVar[int] = 2
    networks: int
    epochs: int
    layers: Layers

    @classmethod
    def of(cls, selection: Selection, options: EarlyGradients) -> GradientNorms:
        """Return those of a selection's proxy."""
        return cls(dataset=selection.dataset, proxy=selection.network(), seed=selection.seed, **asdict(options))

    def title(self) -> str:
        return f"gradient norms of {self.proxy.model.label} on {self.dataset.label}, seed {self.seed}"

    def estimate(self, shape: Shape, device: str) -> Estimate:
        """Count a training twice, and the gradients held at once."""
        from bench.training.gradients import HELD_ON_GPU

        data, network = self.training_bytes(shape)
        gradients = _VMAP if device == "cpu" else 4 * HELD_ON_GPU
        return of_training(2 * data, 2 * network + gradients, 8 * shape.train, device)

    def work(self, shape: Shape) -> list[Work]:
        """Count the training, and for each gradient as much as the image's share of a step."""
        recipe = self.proxy.recipe
        # One more epoch for the pass that takes the gradients.
        epochs = min(self.epochs, recipe.proxy_epochs) + 1
        steps = self.networks * steps_of_epochs(recipe.model_copy(update={"proxy_epochs": epochs}), shape.train)
        inputs = self.proxy.encoder or shape.image
        return training_work(self.proxy.model, recipe, inputs, self.dataset, shape.train, steps)

    def compute(self, session: Session, progress: Progress) -> Arrays:
        """Return ``norms``, float32 [N], the mean over the networks."""
        from bench.training.gradients import mean_norms

        dataset = session.dataset(self.dataset)
        norms = mean_norms(
            self.proxy,
            read_proxy_inputs(self.proxy, self.dataset, session),
            dataset.train.labels,
            num_classes=dataset.num_classes,
            dataset=dataset,
            options=EarlyGradients(self.networks, self.epochs, self.layers),
            seed=self.seed,
            device=session.device,
            progress=progress,
        )
        return {"norms": norms}


GIVERS: Givers = {GRADIENT_NORMS.name: gives(GradientNorms.of, lambda arrays, options: arrays["norms"])}
