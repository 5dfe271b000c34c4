"""A cell: what its row says of the coreset, the training and the pseudo-labels."""

from __future__ import annotations

import hashlib
import math
import sys
from pathlib import Path

import numpy as np
import pytest

from bench.engine.plan import make_plan
from bench.engine.work import perform
from bench.grid.spec import load_spec
from bench.loading import load_dataset
from bench.results.pseudo_quality import pseudo_label_quality
from bench.stages.base import in_order
from bench.stages.clusters import PseudoLabels
from tests.engine.one_cell import TINY, one_cell, place, row_of
from tests.narrowing import present


def test_row_says_what_was_trained_and_how_it_went(tmp_path: Path) -> None:
    workspace = place(tmp_path)
    cell = one_cell(workspace, methods="ccs(beta=0.1)")
    result = perform(cell, workspace)
    row = row_of(cell, workspace)
    assert result.accuracy == row.accuracy
    assert result.seconds > 0
    assert (row.cell_id, row.method, row.params["beta"], row.supervision) == (cell.cell_id, "ccs", 0.1, "labels")
    assert (row.rate, row.budget, row.pool_size, row.seed) == (0.9, 30, 300, 0)
    assert (row.encoder, row.model, row.proxy_model) == ("-", "small_cnn", "small_cnn")
    assert row.recipe == cell.recipe
    assert [step for step, _ in row.curve] == [4, 8, 12]
    assert row.accuracy == row.curve[-1][1]
    assert row.best_accuracy == max(accuracy for _, accuracy in row.curve)
    assert row.best_iteration == next(step for step, accuracy in row.curve if accuracy == row.best_accuracy)
    assert sum(row.class_counts) == 30
    assert row.cell_id.endswith(row.config_sha256[:12])
    if sys.platform == "linux":
        assert 50e6 < present(row.train_peak_bytes) < 64e9, "a process with torch in it, in bytes"
    test = load_dataset("digits", {}, root=None, download=False, pool_size=None).test.labels
    mean = sum(share * (test == number).sum() for number, share in enumerate(row.per_class_accuracy)) / len(test)
    assert row.test_class_counts == np.bincount(test).tolist()
    assert math.isclose(row.accuracy, mean, abs_tol=1e-3)
    assert not (workspace.out / "failed").exists()


def test_a_row_with_mirror_images_has_both_accuracies_and_the_same_selection(tmp_path: Path) -> None:
    workspace = place(tmp_path)
    cell, plain = (
        one_cell(workspace, methods="aum", recipe={**TINY["recipe"], **more}) for more in ({"test_flip": True}, {})
    )
    perform(cell, workspace)
    perform(plain, workspace)
    row, without = row_of(cell, workspace), row_of(plain, workspace)
    assert row.accuracy == without.accuracy
    assert row.flipped_accuracy is not None
    assert without.flipped_accuracy is None
    assert [use.key for use in row.stages] == [use.key for use in without.stages], "it shares the proxy"
    assert "flipped_accuracy" not in without.model_dump(mode="json")


def test_published_indices_are_places_in_the_full_training_split(tmp_path: Path) -> None:
    workspace = place(tmp_path)
    cell = one_cell(workspace)
    perform(cell, workspace)
    row = row_of(cell, workspace)
    path = workspace.out / "indices" / f"{cell.cell_id}.npy"
    indices = np.load(path, allow_pickle=False)
    assert indices.dtype == np.dtype("<i8")
    assert hashlib.sha256(indices.tobytes()).hexdigest() == row.indices_sha256
    full = load_dataset("digits", {}, root=None, download=False, pool_size=None)
    pool = load_dataset("digits", {}, root=None, download=False, pool_size=300)
    assert len(np.unique(indices)) == row.budget
    assert set(indices) <= set(pool.pool_index)
    assert indices.max() >= 300, "these would be places in the pool"
    assert np.bincount(full.train.labels[indices], minlength=10).tolist() == row.class_counts


@pytest.mark.integration
def test_pseudo_labels_are_compared_with_true_labels_once_the_coreset_is_fixed(tmp_path: Path) -> None:
    workspace = place(tmp_path)
    given, estimated, random = make_plan(
        load_spec(
            given={
                **TINY,
                "methods": "elfs(clustering=kmeans, beta=0.1),"
                "elfs(clustering=kmeans, beta=0.1, num_clusters=estimate),random",
            }
        ),
        out=workspace.out,
    ).cells
    for cell in (given, estimated, random):
        assert perform(cell, workspace).accuracy is not None
    rows = [row_of(cell, workspace) for cell in (given, estimated, random)]
    labels = load_dataset("digits", {}, root=None, download=False, pool_size=300).train.labels
    for cell, row in zip((given, estimated), rows, strict=False):
        [stage] = [item for item in in_order([cell.selection()]) if isinstance(item, PseudoLabels)]
        assert row.pseudo_labels == pseudo_label_quality(workspace.get(stage).arrays["labels"], labels)
        assert 50 < row.pseudo_labels.accuracy < 100
    assert (present(rows[0].pseudo_labels).clusters, rows[0].chosen) == (10, {})
    assert rows[1].chosen == {"num_clusters": present(rows[1].pseudo_labels).clusters}
    assert rows[2].pseudo_labels is None


@pytest.mark.integration
def test_pseudo_labels_are_compared_with_true_labels_under_label_noise_too(tmp_path: Path) -> None:
    workspace = place(tmp_path)
    cells = make_plan(
        load_spec(
            given={**TINY, "datasets": "digits,digits@noise=0.4", "methods": "elfs(clustering=kmeans, beta=0.1)"}
        ),
        out=workspace.out,
    ).cells
    for cell in cells:
        assert perform(cell, workspace).accuracy is not None
    clean, noisy = (row_of(cell, workspace) for cell in cells)
    assert "@noise=0.4" in noisy.dataset
    assert noisy.pseudo_labels == clean.pseudo_labels


def test_seeds_differ(tmp_path: Path) -> None:
    workspace = place(tmp_path)
    first, second = make_plan(load_spec(given={**TINY, "seeds": 2}), out=workspace.out).cells
    for cell in (first, second):
        perform(cell, workspace)
    assert row_of(first, workspace).indices_sha256 != row_of(second, workspace).indices_sha256


def test_embeddings_train_a_linear_probe(tmp_path: Path) -> None:
    workspace = place(tmp_path)
    cell = one_cell(workspace, models="linear_probe")
    result = perform(cell, workspace)
    assert present(result.accuracy) > 20
    assert row_of(cell, workspace).encoder == "pixels"
    assert len(list((workspace.cache / "embeddings").glob("*.npz"))) == 2
