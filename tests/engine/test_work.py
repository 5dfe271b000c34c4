from __future__ import annotations

import hashlib
import json
import math
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.engine import work
from bench.engine.events import Listener
from bench.engine.executors.local import InProcess
from bench.engine.plan import Plan, make_plan
from bench.engine.run import run
from bench.engine.work import perform
from bench.grid.spec import load_spec
from bench.loading import load_dataset
from bench.plugins import methods
from bench.results.pseudo_quality import pseudo_label_quality
from bench.results.published import write_indices
from bench.results.rows import Row, read_row
from bench.stages.base import in_order
from bench.stages.clusters import PseudoLabels
from bench.stages.session import Session
from bench.stages.training import Cell
from tests.narrowing import present

TINY: dict[str, Any] = {
    "datasets": "digits",
    "methods": "random",
    "rates": "0.9",
    "pool_size": 300,
    "recipe": {"iterations": 12, "proxy_epochs": 2, "evaluations": 3},
}


def place(folder: Path) -> Session:
    return Session(out=folder / "out", cache=folder / "cache")


def one_cell(workspace: Session, **given: Any) -> Cell:
    [cell] = make_plan(load_spec(given={**TINY, **given}), out=workspace.out).cells
    return cell


def row_of(cell: Cell, workspace: Session) -> Row:
    return read_row(workspace.out / "rows" / f"{cell.cell_id}.json")


def failure_of(cell: Cell, workspace: Session) -> tuple[dict[str, Any], str]:
    record = workspace.out / "failed" / f"{cell.cell_id}.json"
    return json.loads(record.read_text()), record.with_suffix(".txt").read_text()


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


def test_digest_is_that_of_little_endian_bytes(tmp_path: Path) -> None:
    digest = write_indices(np.array([1, 258], dtype=">i8"), tmp_path, "name")
    assert digest == hashlib.sha256(bytes([1, 0, 0, 0, 0, 0, 0, 0, 2, 1, 0, 0, 0, 0, 0, 0])).hexdigest()


@pytest.mark.integration
def test_two_places_with_caches_of_their_own_agree(tmp_path: Path) -> None:
    rows = []
    for name in ("first", "second"):
        workspace = place(tmp_path / name)
        cell = one_cell(workspace, methods="elfs(heads=2, cluster_epochs=3)")
        perform(cell, workspace)
        rows.append(row_of(cell, workspace))
    own = {"created", "train_seconds", "train_peak_bytes", "select_seconds", "stages"}
    assert rows[0].model_dump(exclude=own) == rows[1].model_dump(exclude=own)


def test_a_row_of_another_version_of_the_method_is_no_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = place(tmp_path)
    cell = one_cell(workspace)
    perform(cell, workspace)
    # Nothing is missing, so nothing is run.
    plan = Plan([cell], {cell.cell_id}, {}, {})
    assert run(plan, workspace, InProcess(), Listener()).written == 1
    entry = methods.get("random")
    newer = replace(entry, info=replace(entry.info, version=2))
    monkeypatch.setattr(methods, "get", lambda name: newer)
    assert run(plan, workspace, InProcess(), Listener()).written == 0


def test_a_finished_row_is_never_touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two runs into one folder may both find that a cell is missing."""
    workspace = place(tmp_path)
    cell = one_cell(workspace)
    first = perform(cell, workspace)
    [path] = (workspace.out / "rows").iterdir()
    written = path.read_bytes(), path.stat().st_mtime_ns
    assert perform(cell, workspace).accuracy == first.accuracy
    looks = iter([None, read_row(path)])
    monkeypatch.setattr(work, "valid_row", lambda out, cell: next(looks))  # it is written while this one trains
    assert perform(cell, workspace).accuracy == first.accuracy
    assert (path.read_bytes(), path.stat().st_mtime_ns) == written


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


def test_a_loss_that_is_not_finite_is_recorded_with_the_learning_rate(tmp_path: Path) -> None:
    workspace = place(tmp_path)
    cell = one_cell(workspace, recipe={**TINY["recipe"], "lr": 1e12, "iterations": 30})
    result = perform(cell, workspace)
    assert "not finite" in present(result.fault).reason
    assert "lr=1000000000000.0" in present(result.fault).reason
    record, details = failure_of(cell, workspace)
    assert record["reason"] == present(result.fault).reason
    assert Cell.model_validate(record["cell"]) == cell
    assert details.startswith("Traceback")
    assert not (workspace.out / "rows").exists()


def test_success_removes_the_record_of_an_earlier_failure(tmp_path: Path) -> None:
    workspace = place(tmp_path)
    cell = one_cell(workspace)
    failed = workspace.out / "failed"
    failed.mkdir(parents=True, exist_ok=True)
    for suffix in ("json", "txt"):
        (failed / f"{cell.cell_id}.{suffix}").write_text("{}")
    assert perform(cell, workspace).accuracy is not None
    assert not list(failed.iterdir())


def test_an_unexpected_error_is_recorded_with_its_type(tmp_path: Path, troublemakers: None) -> None:
    workspace = place(tmp_path)
    cell = one_cell(workspace, methods="raises")
    assert present(perform(cell, workspace).fault).reason == "ZeroDivisionError: this method divides by zero"
    assert "in raises" in failure_of(cell, workspace)[1]


def test_a_full_disk_does_not_hide_the_reason(tmp_path: Path, troublemakers: None) -> None:
    workspace = place(tmp_path)
    cell = one_cell(workspace, methods="raises")
    workspace.out.mkdir(exist_ok=True)
    (workspace.out / "failed").write_text("a file where the folder should be")
    assert "divides by zero" in present(perform(cell, workspace).fault).reason


def test_embeddings_train_a_linear_probe(tmp_path: Path) -> None:
    workspace = place(tmp_path)
    cell = one_cell(workspace, models="linear_probe")
    result = perform(cell, workspace)
    assert present(result.accuracy) > 20
    assert row_of(cell, workspace).encoder == "pixels"
    assert len(list((workspace.cache / "embeddings").glob("*.npz"))) == 2
