from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench import Outputs, Pool
from bench.data import Dataset, take_pool
from bench.engine.plan import make_plan
from bench.errors import BenchError, LabelAccessError, TrainingError
from bench.grid.spec import load_spec
from bench.loading import load_dataset
from bench.methods.elfs import beta_grid
from bench.plugins import EncoderInfo, datasets, encoders, methods
from bench.selection import method_pool
from bench.stages.base import in_order
from bench.stages.embeddings import Embeddings
from bench.stages.session import Session
from bench.stages.source import StageSource
from bench.stages.training import Cell
from tests.narrowing import present
from tests.whole_pool import whole_pool

TINY: dict[str, Any] = {
    "datasets": "digits",
    "pool_size": 120,
    "rates": "0.5",
    "recipe": {"iterations": 4, "proxy_epochs": 4, "evaluations": 1},
}
ELFS = "elfs(heads=2, cluster_epochs=3)"


@pytest.fixture
def workspace(tmp_path: Path) -> Session:
    return Session(out=tmp_path / "out", cache=tmp_path / "cache")


def cells(workspace: Session, **given: Any) -> list[Cell]:
    return make_plan(load_spec(given={**TINY, **given}), out=workspace.out).cells


@pytest.fixture
def permuted() -> Iterator[str]:
    """The digits with their true labels permuted: the same images, other classes."""

    def permuted_digits(root: Path | None) -> Dataset:
        """Digits whose labels say nothing."""
        plain = load_dataset("digits", {}, root=None, download=False, pool_size=None)
        shuffled = np.random.default_rng(5).permutation(plain.train.labels)
        return replace(plain, train=replace(plain.train, labels=shuffled))

    datasets.add("permuted-digits", permuted_digits, datasets.get("digits").info)
    yield "permuted-digits"
    datasets.remove("permuted-digits")


@pytest.mark.parametrize(
    "method",
    [
        ELFS,
        "elfs(beta=0.2, clustering=kmeans)",
        "elfs(clustering=kmeans, rehearsal=ridge)",
        "elfs(clustering=kmeans, rehearsal=network)",
        "auto(candidates='typiclust,elfs(clustering=kmeans)')",
        "d2-label-free",
        "prototypicality",
    ],
)
def test_true_labels_cannot_reach_a_label_free_coreset(workspace: Session, permuted: str, method: str) -> None:
    [plain], [other] = (cells(workspace, methods=method, datasets=name) for name in ("digits", permuted))
    assert plain.dataset.fingerprint != other.dataset.fingerprint
    coresets = [workspace.get(cell.selection()) for cell in (plain, other)]
    assert not any(coreset.reused for coreset in coresets)
    np.testing.assert_array_equal(coresets[0].arrays["indices"], coresets[1].arrays["indices"])


def test_true_labels_do_reach_a_supervised_coreset(workspace: Session, permuted: str) -> None:
    """The test above would notice: the same comparison for a method that reads labels differs."""
    [plain], [other] = (cells(workspace, methods="ccs(beta=0.1)", datasets=name) for name in ("digits", permuted))
    first, second = (workspace.get(cell.selection()).arrays["indices"] for cell in (plain, other))
    assert first.tolist() != second.tolist()


@pytest.mark.parametrize(("method", "supervision"), [(ELFS, "pseudo"), ("d2-label-free", "none")])
def test_a_label_free_method_cannot_read_labels_through_its_pool(
    workspace: Session, method: str, supervision: str
) -> None:
    [cell] = cells(workspace, methods=method)
    selection, entry = cell.selection(), methods.get(cell.method)
    pool = method_pool(
        entry, cell.params, StageSource(selection, workspace), size=120, num_classes=10, rate=selection.rate
    )
    with pytest.raises(LabelAccessError, match=f"supervision='{supervision}' may not read pool.labels"):
        _ = pool.labels
    if supervision == "pseudo":
        with pytest.raises(LabelAccessError, match=r"may not read pool.dynamics\('labels'\)"):
            pool.dynamics("labels")


def source_of(workspace: Session, method: str = ELFS, **given: Any) -> Pool:
    [cell] = cells(workspace, methods=method, **given)
    return whole_pool(StageSource(cell.selection(), workspace), 120)


def outputs_of(workspace: Session, revealed: list[int] | np.ndarray, **given: Any) -> Outputs:
    pool = source_of(workspace, "badge", **given)
    pool.reveal(revealed)
    return pool.outputs()


CLUSTERING: dict[str, Any] = {"heads": 2, "epochs": 3}


def test_every_array_is_read_only(workspace: Session) -> None:
    source = source_of(workspace)
    dynamics = source.dynamics("pseudo", **CLUSTERING)
    near = source.neighbors(5)
    arrays: list[Any] = [
        source.images,
        source.embeddings,
        source.labels,
        source.pseudo_labels(**CLUSTERING),
        near.indices,
        near.distances,
        dynamics.aum,
        dynamics.forgetting,
        dynamics.learned,
    ]
    for array in arrays:
        assert len(array) == 120
        with pytest.raises(ValueError, match="read-only"):
            array[0] = array[1]


def test_neighbours_of_every_k_are_cut_from_one_list(workspace: Session) -> None:
    source = source_of(workspace)
    few, many = source.neighbors(3), source.neighbors(50)
    np.testing.assert_array_equal(few.indices, many.indices[:, :3])
    np.testing.assert_array_equal(few.distances, many.distances[:, :3])
    assert len(list((workspace.cache / "neighbors").glob("*.npz"))) == 1
    assert source.neighbors(60).indices.shape == (120, 60)
    assert len(list((workspace.cache / "neighbors").glob("*.npz"))) == 2


def test_every_clustering_and_score_of_elfs_selects_by_its_own_ranking(workspace: Session) -> None:
    effort = {"temi": ", heads=2, cluster_epochs=3", "kmeans": ""}
    grid = [(clustering, score) for clustering in effort for score in ("aum", "forgetting", "el2n")]
    names = [f"elfs(clustering={name}, score={score}, beta=0.2{effort[name]})" for name, score in grid]
    coresets = {}
    for (clustering, score), cell in zip(grid, cells(workspace, methods=",".join(names)), strict=True):
        found = workspace.get(cell.selection()).arrays
        coresets[clustering, score] = found["indices"]
        removed = np.argsort(-found["scores"], kind="stable")[:24]
        kept = found["scores"][found["indices"]]
        assert len(kept) == 60
        assert kept.max() <= found["scores"][removed].min(), "the 0.2 N hardest come before all that is kept"
        assert kept.min() >= np.sort(found["scores"])[36], "and the easiest are what is left out at the other end"
    assert len({tuple(coreset) for coreset in coresets.values()}) == len(grid)


def test_a_coreset_is_stored_and_its_inputs_are_shared(workspace: Session) -> None:
    [cell] = cells(workspace, methods="elfs(heads=2, cluster_epochs=3, rehearsal=own-pseudo-labels)")
    first = workspace.get(cell.selection())
    again = workspace.get(cell.selection())
    assert (first.reused, again.reused) == (False, True)
    np.testing.assert_array_equal(first.arrays["indices"], again.arrays["indices"])
    assert all(stage in workspace.store for stage in in_order([cell.selection()]))
    kept = {path.parent.name: len(list(path.parent.glob("*.npz"))) for path in workspace.cache.glob("*/*.npz")}
    once = dict.fromkeys(("encoder", "embeddings", "neighbors", "pseudo-labels", "dynamics", "selection"), 1)
    assert kept == {**once, "rehearsal": len(beta_grid(120, 60))}


class Listening:
    """Stands before ``fit`` and keeps what it was given."""

    def __init__(self, fit: Callable[..., Any]) -> None:
        self.fit = fit
        self.calls: list[tuple[Any, Any]] = []

    def __call__(self, model: Any, training: Any, **more: Any) -> Any:
        self.calls.append((training, more["test"]))
        return self.fit(model, training, **more)


def test_rehearsal_trains_on_pseudo_labels_without_the_held_out_tenth(
    workspace: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bench.training import proxy as module

    source = source_of(workspace)
    pseudo = source.pseudo_labels(**CLUSTERING)
    images = np.asarray(source.images)
    listening = Listening(vars(module)["fit"])
    monkeypatch.setattr(module, "fit", listening)
    scores = [source.rehearse(np.arange(0, 120, step), **CLUSTERING) for step in (1, 2)]
    assert all(0 <= score <= 1 for score in scores)
    held = []
    for (training, test), step in zip(listening.calls, (1, 2), strict=True):
        place = {image.tobytes(): number for number, image in enumerate(images)}
        trained, scored = ([place[image.tobytes()] for image in part] for part in (training.inputs, test.inputs))
        assert not set(trained) & set(scored)
        assert set(trained) | (set(scored) & set(range(0, 120, step))) == set(range(0, 120, step))
        np.testing.assert_array_equal(training.targets, pseudo[trained])
        np.testing.assert_array_equal(test.targets, pseudo[scored])
        held.append(scored)
    assert held[0] == held[1], "candidates are compared on different images"
    assert len(held[0]) == 12
    assert source.rehearse(np.arange(0, 120, 2), **CLUSTERING) == scores[1]


def test_rehearsal_on_too_few_images_predicts_nothing(workspace: Session) -> None:
    assert source_of(workspace).rehearse(np.array([4]), **CLUSTERING) == 0.0


def test_a_failing_proxy_stores_no_dynamics(workspace: Session) -> None:
    [cell] = cells(workspace, methods="aum", recipe={"iterations": 4, "proxy_epochs": 20, "lr": 1e12, "evaluations": 1})
    with pytest.raises(TrainingError, match="not finite"):
        workspace.get(cell.selection())
    assert not list(workspace.cache.glob("*/*.npz"))


SIMSIAM = "simsiam(epochs=1, size=8, width=8)"


@pytest.fixture
def trainings(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many images every training of the encoder was given."""
    from bench.encoders.simsiam import SimSiamEncoder

    counts, fit = [], SimSiamEncoder.fit

    def counted(self: Any, images: np.ndarray, **more: Any) -> Any:
        counts.append(len(images))
        return fit(self, images, **more)

    monkeypatch.setattr(SimSiamEncoder, "fit", counted)
    return counts


def test_a_fitted_encoder_is_trained_once_for_splits_rates_methods_and_later_runs(
    workspace: Session, trainings: list[int]
) -> None:
    given = {"encoders": SIMSIAM, "models": "linear_probe", "rates": "0.3,0.5,0.7,0.8,0.9"}
    grid = cells(workspace, methods="d2-label-free,prototypicality", **given)
    wanted = in_order([stage for cell in grid for stage in cell.stages()])
    assert [stage.kind for stage in wanted].count("encoder") == 1
    for stage in wanted:
        workspace.get(stage)
    assert trainings == [120]
    splits = {stage.split: workspace.get(stage) for stage in wanted if isinstance(stage, Embeddings)}
    assert splits["train"].arrays["embeddings"].shape == (120, 32)
    assert len(splits["test"].arrays["embeddings"]) > 120
    [later] = cells(workspace, methods="kcenter", encoders=SIMSIAM)
    workspace.get(later.selection())
    assert trainings == [120]
    [other] = cells(workspace, methods="kcenter", encoders=SIMSIAM.replace("epochs=1", "epochs=1, seed=1"))
    workspace.get(other.selection())
    assert trainings == [120, 120]


def test_a_fitted_encoder_that_is_stored_embeds_the_same(workspace: Session) -> None:
    [cell] = cells(workspace, methods="kcenter", encoders=SIMSIAM)
    first = workspace.get(cell.selection().embeddings()).arrays["embeddings"]
    for path in (workspace.cache / "embeddings").iterdir():
        path.unlink()
    again = workspace.get(cell.selection().embeddings())
    assert not again.reused
    np.testing.assert_array_equal(again.arrays["embeddings"], first)


def test_true_labels_cannot_reach_a_fitted_encoder(workspace: Session, permuted: str) -> None:
    [plain], [other] = (cells(workspace, methods="kcenter", encoders=SIMSIAM, datasets=n) for n in ("digits", permuted))
    states = [workspace.get(cell.selection().embeddings().inputs()[0]) for cell in (plain, other)]
    assert not any(state.reused for state in states)
    for name, array in states[0].arrays.items():
        np.testing.assert_array_equal(array, states[1].arrays[name])


def test_noise_in_the_labels_trains_no_other_encoder(workspace: Session) -> None:
    names = ("digits", "digits@noise=0.2")
    [plain], [noisy] = (cells(workspace, methods="kcenter", encoders=SIMSIAM, datasets=name) for name in names)
    assert plain.selection().embeddings().inputs() == noisy.selection().embeddings().inputs()


def test_a_collapsed_encoder_stores_nothing(workspace: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.training.siamese.LEAST_RANK", 1000.0)
    [cell] = cells(workspace, methods="kcenter", encoders=SIMSIAM)
    with pytest.raises(TrainingError, match="collapsed"):
        workspace.get(cell.selection())
    assert not list(workspace.cache.glob("*/*.npz"))


@pytest.mark.parametrize(
    ("fitted", "parts", "message"),
    [
        (True, ("embed",), r"fitted=True, so it needs fit\(images.*restore\(state\)"),
        (True, ("embed", "fit"), "fitted=True, so it needs"),
        (False, ("embed", "fit"), "is not registered with fitted=True"),
    ],
)
def test_an_encoder_that_is_not_what_it_declares_is_refused_before_work_starts(
    workspace: Session, fitted: bool, parts: tuple[Any, ...], message: str
) -> None:
    def odd(weights: np.ndarray) -> Any:
        """An encoder with some of its functions."""
        return type("Odd", (), dict.fromkeys(parts, lambda self, *_, **__: None))()

    encoders.add("odd", odd, EncoderInfo(supervision="none", source="", fitted=fitted))
    try:
        with pytest.raises(BenchError, match=message):
            cells(workspace, methods="kcenter", encoders="odd")
    finally:
        encoders.remove("odd")


def test_embeddings_as_the_proxys_input(workspace: Session) -> None:
    [cell] = cells(workspace, methods=ELFS, models="linear_probe")
    assert present(cell.proxy).encoder is not None
    coreset = workspace.get(cell.selection()).arrays["indices"]
    assert len(coreset) == cell.budget == 60
    assert not list((workspace.cache / "embeddings").glob("*.tmp*"))
    assert len(list((workspace.cache / "embeddings").glob("*.npz"))) == 1


def test_the_workspace_keeps_the_pool_and_travels_as_json(workspace: Session) -> None:
    [cell] = cells(workspace, methods="random")
    again = Session.model_validate_json(workspace.model_dump_json())
    assert again == workspace
    opened = again.dataset(cell.dataset)
    assert opened is workspace.dataset(cell.dataset)
    full = load_dataset("digits", {}, root=None, download=False, pool_size=None)
    np.testing.assert_array_equal(opened.train.images, take_pool(full, 120).train.images)


def test_gradient_norms_are_the_mean_over_networks_of_their_own(workspace: Session) -> None:
    source = source_of(workspace, "grand")
    options: dict[str, Any] = {"epochs": 2, "layers": "last"}
    two = source.gradient_norms(networks=2, **options)
    assert two.shape == (120,)
    assert two.dtype == np.float32
    one = source.gradient_norms(networks=1, **options)
    second = 2 * two - one
    assert (second > 0).all()
    assert np.abs(second - one).max() > 1e-3
    assert len(list((workspace.cache / "gradient-norms").glob("*.npz"))) == 2


def test_gradient_norms_of_a_training_longer_than_the_proxys_are_those_of_its_end(workspace: Session) -> None:
    source = source_of(workspace, "grand")
    norms = [source.gradient_norms(networks=1, epochs=epochs) for epochs in (0, 4, 9)]
    np.testing.assert_array_equal(norms[1], norms[2])
    assert np.abs(norms[0] - norms[1]).max() > 1e-3


def test_outputs_depend_on_the_revealed_labels_alone(workspace: Session, permuted: str) -> None:
    names = ("digits", permuted)
    plain, other = (source_of(workspace, "badge", datasets=name) for name in names)
    same = np.flatnonzero(plain.labels == other.labels)
    assert 2 <= len(same) < 40
    for chosen in ([], [5], same):
        first, second = (outputs_of(workspace, chosen, datasets=name) for name in names)
        for one, two in zip(first, second, strict=True):
            np.testing.assert_array_equal(one, two)
            assert len(one) == 120
    differing = np.flatnonzero(plain.labels != other.labels)[:20]
    apart = [outputs_of(workspace, differing, datasets=name).probabilities for name in names]
    assert np.abs(apart[0] - apart[1]).max() > 1e-3


def test_a_proxy_learns_from_what_was_revealed(workspace: Session) -> None:
    recipe = {"iterations": 4, "proxy_epochs": 40, "evaluations": 1}
    labels = source_of(workspace, "badge", recipe=recipe).labels
    probabilities, features = outputs_of(workspace, np.arange(60), recipe=recipe)
    assert (probabilities.argmax(1) == labels)[60:].mean() > 0.5
    assert np.isfinite(features).all()
    np.testing.assert_array_equal(probabilities, outputs_of(workspace, np.arange(60), recipe=recipe).probabilities)


@pytest.mark.parametrize("method", ["badge(rounds=3)", "grand(networks=2, layers=last)"])
def test_methods_that_train_networks_take_embeddings_too(workspace: Session, method: str) -> None:
    [cell] = cells(workspace, methods=method, models="linear_probe")
    assert cell.proxy is not None
    assert present(cell.proxy).encoder is not None
    assert cell.selection().inputs()
    coreset = workspace.get(cell.selection())
    assert len(coreset.arrays["indices"]) == 60
    assert workspace.get(cell.selection()).reused
