"""The pool that a method sees, with its parts out of the shared stages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.calls import Call
from bench.data import Arrays, Dataset, Images, private, read_only
from bench.dynamics import Dynamics
from bench.judging.rule import Judge
from bench.pool import Metric, Neighbors, Outputs, Targets
from bench.stages.base import Stage
from bench.stages.dynamics import normalised_by, read_proxy_inputs
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

    def judge(self, candidates: Sequence[NDArray[np.int64]], by: Judge) -> NDArray[np.float64]:
        """See ``Pool.judge``."""
        selection, session = self._selection, self._session
        labelings = session.arrays(selection.labelings())["labelings"]
        if selection.judge(by) == "network":
            from bench.judging.network import qualities

            proxy, dataset = selection.network(), selection.dataset.without_noise()
            return qualities(
                proxy,
                read_proxy_inputs(proxy, dataset, session),
                labelings,
                candidates,
                dataset=normalised_by(proxy, dataset, session),
                seed=selection.seed,
                device=session.device,
            )
        from bench.judging.ridge import PENALTY, quality

        seen = selection.judge_features()
        features, penalty = session.arrays(seen)["features"], PENALTY[seen.what]
        return np.array([quality(features, labelings, indices, penalty) for indices in candidates])

    def coreset(self, method: Call, **asked: Any) -> NDArray[np.int64]:
        """See ``Pool.coreset``; rate, budget and seed are the selection's, as what is asked for."""
        return self._arrays(self._selection.candidate(method))["indices"]

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
