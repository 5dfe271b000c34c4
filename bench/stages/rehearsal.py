"""Rehearsals: how well a network trained on a candidate coreset predicts held-out pseudo-labels."""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import PrivateAttr

from bench.identity import DatasetRef
from bench.parts import REHEARSAL, Clustering, TrainedOn
from bench.stages.base import Stage
from bench.stages.clusters import PseudoLabels
from bench.stages.dynamics import ProxyDynamics, normalised_by, read_proxy_inputs
from bench.stages.givers import Giver, Givers
from bench.stages.memory import Estimate, Shape, of_training

if TYPE_CHECKING:
    from bench.data import Arrays
    from bench.pool import Asked
    from bench.progress import Progress
    from bench.stages.selection import Selection
    from bench.stages.session import Session


class Rehearsal(Stage):
    """The accuracy of the proxy's network on a fixed held-out tenth, after training on a candidate's pseudo-labels.

    A method requests it while it runs, so that no grid knows it beforehand.

    Attributes:
        dynamics: names pool, pseudo-labels, proxy and seed.
        indices_sha256: SHA-256 of the candidate's positions, int64.
    """

    kind: ClassVar[str] = "rehearsal"
    dynamics: ProxyDynamics
    indices_sha256: str
    # Not a field: the identity holds only their digest, and a specification is stored as JSON.
    _indices: Any = PrivateAttr(default=None)

    @classmethod
    def of(cls, dynamics: ProxyDynamics, indices: NDArray[np.int64]) -> Rehearsal:
        """Return the rehearsal of a candidate.

        Args:
            dynamics: gives the proxy and the pseudo-labels.
            indices: int64 [n] positions in the pool.
        """
        stage = cls(dynamics=dynamics, indices_sha256=hashlib.sha256(indices.tobytes()).hexdigest())
        stage._indices = indices
        return stage

    @property
    def pool(self) -> DatasetRef:
        return self.dynamics.dataset

    def inputs(self) -> list[Stage]:
        return self.dynamics.inputs()

    def title(self) -> str:
        return f"rehearsing candidate coresets of {self.pool.label}, seed {self.dynamics.seed}"

    def estimate(self, shape: Shape, device: str) -> Estimate:
        # A training on the whole pool, which no candidate exceeds; one number takes a block of the disk.
        return of_training(*self.dynamics.training_bytes(shape), 4096, device)

    def compute(self, session: Session, progress: Progress) -> Arrays:
        """Return ``accuracy``, float64 [], in [0, 1]."""
        from bench.training.proxy import rehearse

        source = self.dynamics
        targets, classes = source.targets(session)
        accuracy = rehearse(
            source.proxy,
            read_proxy_inputs(source.proxy, source.dataset, session),
            targets,
            self._indices,
            num_classes=classes,
            dataset=normalised_by(source.proxy, source.dataset, session),
            seed=source.seed,
            device=session.device,
        )
        return {"accuracy": np.array(accuracy)}


def _rehearse(selection: Selection, session: Session, options: Clustering, asked: Asked) -> float:
    source = ProxyDynamics.of(selection, TrainedOn(**asdict(options), of="pseudo"))
    # One candidate per call: each rehearsal is a stage of its own, so that an interrupted method can reuse it.
    [indices] = asked.indices
    return float(session.arrays(Rehearsal.of(source, indices))["accuracy"])


GIVERS: Givers = {
    REHEARSAL.name: Giver(
        _rehearse, lambda selection, options: [PseudoLabels.of(selection, options)], lambda selection, options: True
    )
}
