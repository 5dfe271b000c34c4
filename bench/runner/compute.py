"""How each shared stage is computed: thin shells that load inputs, call a pure core and return arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.data import Arrays, Dataset, Images, ImageView, private, read_only
from bench.dynamics import Dynamics
from bench.encoding.encoder import FittedEncoder, make_encoder
from bench.errors import DataError
from bench.grid.stages import (
    ClusterCount,
    Embeddings,
    EncoderFit,
    GradientNorms,
    NeighborLists,
    ProxyDynamics,
    PseudoLabels,
    Selection,
    Stage,
)
from bench.plugins import methods
from bench.pool import Metric, Neighbors, Outputs, Targets
from bench.refs import DatasetRef, Proxy
from bench.runner.workspace import Workspace
from bench.selection import method_pool, run_method
from bench.store.cache import Artifact
from bench.underway import Progress, announced, counted


def run_stage(stage: Stage, workspace: Workspace) -> Artifact:
    """The stage's arrays, from the store or computed now and stored; its inputs likewise.

    Raises:
        Busy: another process is computing it or one of its inputs, and ``workspace.wait`` is false.
    """

    def produce() -> Arrays:
        with announced(workspace.out, stage.key, stage.title()) as progress:
            return _COMPUTE[type(stage)](stage, workspace, progress)

    return workspace.store.get(stage, produce, wait=workspace.wait)


def fit_encoder(stage: EncoderFit, workspace: Workspace, progress: Progress) -> Arrays:
    """The encoder's state, arrays as it names them; it is handed images alone."""
    encoder = make_encoder(stage.encoder, workspace.weights_of(stage.encoder))
    assert isinstance(encoder, FittedEncoder)
    images = workspace.dataset(stage.dataset).train.images
    return encoder.fit(_for_a_plugin(images), device=workspace.device, progress=progress)


def embed(stage: Embeddings, workspace: Workspace, progress: Progress) -> Arrays:
    """``embeddings`` float32 [N, D]."""
    encoder = make_encoder(stage.encoder, workspace.weights_of(stage.encoder))
    for fitted in stage.inputs():
        assert isinstance(encoder, FittedEncoder)
        encoder.restore(run_stage(fitted, workspace).arrays)
    images = _for_a_plugin(getattr(workspace.dataset(stage.dataset), stage.split).images)
    embeddings = encoder.embed(images, device=workspace.device, batch_size=256, progress=counted(progress, len(images)))
    if not np.isfinite(embeddings).all():
        raise DataError(f"encoder {stage.encoder.label} gave embeddings that are not finite.")
    return {"embeddings": embeddings}


def find_neighbors(stage: NeighborLists, workspace: Workspace, progress: Progress) -> Arrays:
    """``indices`` int64 and ``distances`` float32, each [N, k]."""
    from bench.knn import nearest_neighbors

    embeddings = run_stage(stage.embeddings, workspace).arrays["embeddings"]
    found = nearest_neighbors(embeddings, stage.k, stage.metric, threads=workspace.threads, progress=progress)
    return {"indices": found.indices, "distances": found.distances}


def count_clusters(stage: ClusterCount, workspace: Workspace, progress: Progress) -> Arrays:
    """``num_clusters`` int64 [], with the candidates and their silhouettes."""
    from bench.clustering.count import estimate_num_clusters

    embeddings = run_stage(stage.embeddings, workspace).arrays["embeddings"]
    return estimate_num_clusters(embeddings, seed=stage.seed, progress=progress)


def num_clusters(stage: PseudoLabels, workspace: Workspace) -> int:
    """The stage's number of clusters, as given or as estimated."""
    if stage.num_clusters == "estimate":
        return int(run_stage(stage.cluster_count(), workspace).arrays["num_clusters"])
    return stage.num_clusters


def cluster(stage: PseudoLabels, workspace: Workspace, progress: Progress) -> Arrays:
    """``labels`` int64 [N]; ``losses`` float64 [H] of TEMI's heads."""
    from bench.clustering.assign import assign_clusters

    return assign_clusters(
        run_stage(stage.embeddings, workspace).arrays["embeddings"],
        lambda: run_stage(stage.neighbor_lists(), workspace).arrays["indices"],
        clustering=stage.clustering,
        num_clusters=num_clusters(stage, workspace),
        heads=stage.heads,
        epochs=stage.epochs,
        seed=stage.seed,
        device=workspace.device,
        progress=progress,
    )


def observe(stage: ProxyDynamics, workspace: Workspace, progress: Progress) -> Arrays:
    """Train the proxy on the whole pool and record its dynamics, arrays as in ``Dynamics``."""
    from bench.training.proxy import observe_dynamics

    dataset = workspace.dataset(stage.dataset)
    targets, classes = _targets(stage, dataset, workspace)
    observed = observe_dynamics(
        stage.proxy,
        _proxy_inputs(stage.proxy, stage.dataset, workspace),
        targets,
        num_classes=classes,
        dataset=dataset,
        seed=stage.seed,
        device=workspace.device,
        progress=progress,
    )
    return observed.arrays()


def measure_gradients(stage: GradientNorms, workspace: Workspace, progress: Progress) -> Arrays:
    """``norms`` float32 [N], the mean over the networks."""
    from bench.training.proxy import mean_gradient_norms

    dataset = workspace.dataset(stage.dataset)
    norms = mean_gradient_norms(
        stage.proxy,
        _proxy_inputs(stage.proxy, stage.dataset, workspace),
        dataset.train.labels,
        num_classes=dataset.num_classes,
        dataset=dataset,
        networks=stage.networks,
        epochs=stage.epochs,
        layers=stage.layers,
        seed=stage.seed,
        device=workspace.device,
        progress=progress,
    )
    return {"norms": norms}


def choose(stage: Selection, workspace: Workspace, progress: Progress) -> Arrays:
    """``indices`` int64 [budget], sorted positions in the pool; beside them what the method reported."""
    entry = methods.get(stage.method)
    pool = method_pool(
        entry,
        stage.params,
        StageSource(stage, workspace),
        size=stage.dataset.size,
        num_classes=stage.dataset.num_classes,
        rate=stage.rate,
    )
    for source in stage.all_pseudo_labels():
        if source.num_clusters == "estimate":
            pool.report(num_clusters=num_clusters(source, workspace))
    indices = run_method(entry, pool, stage.params, stage.budget, stage.seed)
    return {"indices": indices, **pool.diagnostics.arrays()}


class StageSource:
    """A pool's parts out of the shared stages of one selection. Arrays are read-only and the method's own.

    Args:
        selection: says which data set, encoder, proxy and seed.
        workspace: where to find and store them.
    """

    def __init__(self, selection: Selection, workspace: Workspace) -> None:
        self._selection, self._workspace = selection, workspace

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
        from bench.training.proxy import rehearse

        stage = self._selection.dynamics("pseudo", **clustering)
        dataset = self._dataset()
        targets, classes = _targets(stage, dataset, self._workspace)
        return rehearse(
            stage.proxy,
            _proxy_inputs(stage.proxy, stage.dataset, self._workspace),
            targets,
            indices,
            num_classes=classes,
            dataset=dataset,
            seed=stage.seed,
            device=self._workspace.device,
        )

    def gradient_norms(self, **options: Any) -> NDArray[np.float32]:
        """See ``Pool.gradient_norms``."""
        return self._arrays(self._selection.gradient_norms(**options))["norms"]

    def outputs(self, indices: NDArray[np.int64]) -> Outputs:
        """See ``Pool.outputs``."""
        from bench.training.proxy import trained_outputs

        dataset, proxy = self._dataset(), self._selection.network()
        found = trained_outputs(
            proxy,
            _proxy_inputs(proxy, self._selection.dataset, self._workspace),
            indices,
            self.reveal(indices),
            num_classes=dataset.num_classes,
            dataset=dataset,
            seed=self._selection.seed,
            device=self._workspace.device,
        )
        return Outputs(*map(read_only, found))

    def reveal(self, indices: NDArray[np.int64]) -> NDArray[np.int64]:
        """See ``Pool.reveal``."""
        return self._dataset().train.labels[indices]

    def labels(self) -> NDArray[np.int64]:
        """See ``Pool.labels``."""
        return private(self._dataset().train.labels)

    def _dataset(self) -> Dataset:
        return self._workspace.dataset(self._selection.dataset)

    def _arrays(self, stage: Stage) -> Arrays:
        # Read from the store for this call, or just computed: nobody else has them.
        return {name: read_only(array) for name, array in run_stage(stage, self._workspace).arrays.items()}


def _for_a_plugin(images: Images) -> Images:
    """A copy of those in memory, which later stages read; pixels alone of those in files, whose names tell classes."""
    return private(images) if isinstance(images, np.ndarray) else ImageView(images)


def _targets(stage: ProxyDynamics, dataset: Dataset, workspace: Workspace) -> tuple[NDArray[np.int64], int]:
    """What the proxy is trained on, int64 [N], and how many outputs it has."""
    if stage.pseudo_labels is None:
        return dataset.train.labels, dataset.num_classes
    return run_stage(stage.pseudo_labels, workspace).arrays["labels"], num_clusters(stage.pseudo_labels, workspace)


def _proxy_inputs(proxy: Proxy, dataset: DatasetRef, workspace: Workspace) -> Any:
    if proxy.encoder is None:
        return workspace.dataset(dataset).train.images
    return run_stage(Embeddings(dataset=dataset.without_noise(), encoder=proxy.encoder), workspace).arrays["embeddings"]


_COMPUTE: dict[type[Stage], Callable[[Any, Workspace, Progress], Arrays]] = {
    EncoderFit: fit_encoder,
    Embeddings: embed,
    NeighborLists: find_neighbors,
    ClusterCount: count_clusters,
    PseudoLabels: cluster,
    ProxyDynamics: observe,
    GradientNorms: measure_gradients,
    Selection: choose,
}
