"""The pool that a method sees, with its parts out of the shared stages."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.data import Arrays, Dataset, Images, private, read_only
from bench.dynamics import Dynamics
from bench.pool import Metric, Neighbors, Outputs, Targets
from bench.stages.base import Stage
from bench.stages.dynamics import read_proxy_inputs
from bench.stages.rehearsal import Rehearsal
from bench.stages.selection import Selection
from bench.stages.session import Session


class StageSource:
    """A pool's parts out of the shared stages of one selection. Arrays are read-only and the method's own.

    Args:
        selection: says which data set, encoder, proxy and seed.
        session: where to find and store them.
    """

    def __init__(self, selection: Selection, session: Session) -> None:
        self._selection, self._session = selection, session
        self._judging: tuple[NDArray[np.float32], NDArray[np.int64], float] | None = None

    def images(self) -> Images:
        """See ``Pool.images``."""
        images = self._dataset().train.images
        return private(images) if isinstance(images, np.ndarray) else images

    def embeddings(self) -> NDArray[np.float32]:
        """See ``Pool.embeddings``."""
        return self._arrays(self._selection.embeddings())["embeddings"]

    def neighbors(self, k: int, metric: Metric) -> Neighbors:
        """See ``Pool.neighbors``."""
        arrays = self._arrays(self._selection.neighbor_lists(k, metric))
        return Neighbors(arrays["indices"][:, :k], arrays["distances"][:, :k])

    def pseudo_labels(self, **clustering: Any) -> NDArray[np.int64]:
        """See ``Pool.pseudo_labels``."""
        return self._arrays(self._selection.pseudo_labels(**clustering))["labels"]

    def dynamics(self, of: Targets, **clustering: Any) -> Dynamics:
        """See ``Pool.dynamics``."""
        return Dynamics.from_arrays(self._arrays(self._selection.dynamics(of, **clustering)))

    def rehearse(self, indices: NDArray[np.int64], **clustering: Any) -> float:
        """See ``Pool.rehearse``."""
        stage = Rehearsal.of(self._selection.dynamics("pseudo", **clustering), indices)
        return float(self._session.arrays(stage)["accuracy"])

    def judge(self, indices: NDArray[np.int64]) -> float:
        """See ``Pool.judge``."""
        from bench.judging.ridge import PENALTY, quality

        if self._judging is None:  # read once for all candidates of a method
            by, seen = self._selection.judged_by()
            arrays = self._session.arrays(seen)["features"], self._session.arrays(by)["labelings"]
            self._judging = (*arrays, PENALTY["images" if seen.embeddings is None else "embeddings"])
        features, labelings, penalty = self._judging
        return quality(features, labelings, indices, penalty)

    def gradient_norms(self, **options: Any) -> NDArray[np.float32]:
        """See ``Pool.gradient_norms``."""
        return self._arrays(self._selection.gradient_norms(**options))["norms"]

    def outputs(self, indices: NDArray[np.int64]) -> Outputs:
        """See ``Pool.outputs``."""
        from bench.training.proxy import trained_outputs

        dataset, proxy = self._dataset(), self._selection.network()
        found = trained_outputs(
            proxy,
            read_proxy_inputs(proxy, self._selection.dataset, self._session),
            indices,
            self.reveal(indices),
            num_classes=dataset.num_classes,
            dataset=dataset,
            seed=self._selection.seed,
            device=self._session.device,
        )
        return Outputs(*map(read_only, found))

    def reveal(self, indices: NDArray[np.int64]) -> NDArray[np.int64]:
        """See ``Pool.reveal``."""
        return self._dataset().train.labels[indices]

    def labels(self) -> NDArray[np.int64]:
        """See ``Pool.labels``."""
        return private(self._dataset().train.labels)

    def _dataset(self) -> Dataset:
        return self._session.dataset(self._selection.dataset)

    def _arrays(self, stage: Stage) -> Arrays:
        # Read from the store for this call, or just computed: nobody else has them.
        return {name: read_only(array) for name, array in self._session.arrays(stage).items()}
