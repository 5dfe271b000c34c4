"""One cell from its coreset to its row."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.data import Dataset, take_images
from bench.diagnostics import Diagnostics
from bench.grid.cells import Cell
from bench.grid.stages import Embeddings, Selection, in_order
from bench.plugins import methods, models
from bench.refs import derive_seed
from bench.results.pseudo_quality import PseudoLabelQuality, pseudo_label_quality
from bench.results.published import write_indices, write_scores
from bench.results.rows import Row, StageUse, write_row
from bench.runner.compute import run_stage
from bench.runner.failures import fault_of, forget_failure, record_failure
from bench.runner.limits import limit_gpu_memory, mark_of, time_limit
from bench.runner.provenance import device_name, git_state, versions
from bench.runner.resume import valid_row
from bench.runner.workspace import Workspace
from bench.underway import Progress, announced
from bench.usage import measured


def attempt_cell(
    cell: Cell, workspace: Workspace, stages: Mapping[str, StageUse] | None = None, *, attempt: int = 1
) -> dict[str, Any]:
    """Run a cell and write its row; a failure becomes a record and a traceback file below ``failed/``.

    Args:
        cell: what to run.
        workspace: where, and how long it may take.
        stages: key -> how the shared stages that the selection rests on came to be, as the run recorded it.
        attempt: which try this is, from 1.

    Returns:
        ``{"accuracy": percent}`` or ``{"error": reason, "fault": ...}``, with ``"seconds"``.
    """
    # The limit is for the work, not for imports: torch's first optimiser would import torch._dynamo.
    import torch._dynamo  # noqa: F401

    import bench.training.fit  # noqa: F401

    started = time.perf_counter()
    try:
        # Another run into the same folder may have been faster: a finished row is never touched.
        row = valid_row(workspace.out, cell)
        if row is None:
            with time_limit(workspace.time_limit, mark_of(cell.cell_id, workspace.out)):
                row = run_cell(cell, workspace, stages or {})
            meanwhile = valid_row(workspace.out, cell)
            row = meanwhile or row
            if meanwhile is None:
                write_row(row, workspace.out)
    except Exception as error:
        fault = fault_of(error).model_copy(update={"attempts": attempt})
        record_failure(cell, fault, workspace.out)
        return {"error": fault.reason, "fault": fault.model_dump(), "seconds": time.perf_counter() - started}
    forget_failure(cell.cell_id, workspace.out)
    return {"accuracy": row.accuracy, "seconds": time.perf_counter() - started}


def run_cell(cell: Cell, workspace: Workspace, stages: Mapping[str, StageUse]) -> Row:
    """Select, train on the coreset, score the test split, and describe it all in a row.

    Raises:
        BenchError: selection or training cannot go on.
    """
    from bench.training.precision import prepare_torch

    prepare_torch(workspace.threads)
    limit_gpu_memory(workspace.gpu_share, workspace.device)
    selection = cell.selection()
    selected = run_stage(selection, workspace)
    indices, diagnostics = selected.arrays["indices"], Diagnostics.from_arrays(selected.arrays)
    dataset = workspace.dataset(cell.dataset)
    with announced(workspace.out, cell.cell_id, cell.title()) as progress:
        trained = measure(cell, indices, dataset, workspace, progress)
    entry = methods.get(cell.method)
    return Row(
        cell_id=cell.cell_id,
        config_sha256=cell.digest(),
        **cell.place(),
        method=cell.method,
        variant=cell.variant,
        method_version=methods.get(cell.method).info.version,
        params=entry.resolve(cell.params),
        selection_code=selection.all_code(),
        supervision=entry.info.supervision,
        rate=cell.rate,
        budget=cell.budget,
        seed=cell.seed,
        chosen=dict(diagnostics.chosen),
        pseudo_labels=_pseudo_label_quality(selection, cell, workspace),
        scores_sha256=write_scores(diagnostics.scores, workspace.out),
        indices_sha256=write_indices(dataset.pool_index[indices], workspace.out, cell.cell_id),
        stages=_stages_used(cell, workspace, stages),
        select_seconds=selected.seconds,
        **trained,
    )


def measure(
    cell: Cell,
    indices: NDArray[np.int64],
    dataset: Dataset,
    workspace: Workspace,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Train the cell's model on a coreset, whoever selected it, and score the test split.

    Args:
        cell: its data set, encoder, model, recipe and seed; its method plays no part.
        indices: int64 [n], sorted positions in the pool.
        dataset: the cell's.
        workspace: where.
        progress: called with (steps done, steps in all).

    Returns:
        The fields of a row that training decides, and those that say what trained.

    Raises:
        BenchError: training cannot go on.
    """
    from bench.training.fit import fit

    train_inputs, test_inputs = _inputs(cell, dataset, workspace)
    labels = dataset.train.labels[indices]
    with measured() as usage:
        evaluations = fit(
            cell.model,
            take_images(train_inputs, indices),
            labels,
            dataset=dataset,
            num_classes=dataset.num_classes,
            recipe=cell.recipe,
            iterations=cell.recipe.iterations,
            seed=derive_seed(cell.seed, "model"),
            device=workspace.device,
            test=(test_inputs, dataset.test.labels),
            progress=progress,
        )
    best = max(evaluations, key=lambda item: item.accuracy)  # the first of several
    revision, dirty = git_state()
    return {
        "accuracy": evaluations[-1].accuracy,
        "best_accuracy": best.accuracy,
        "best_iteration": best.iteration,
        "per_class_accuracy": [None if math.isnan(value) else value for value in evaluations[-1].per_class],
        "curve": [(item.iteration, item.accuracy) for item in evaluations],
        "class_counts": np.bincount(labels, minlength=dataset.num_classes).tolist(),
        "test_class_counts": np.bincount(dataset.test.labels, minlength=dataset.num_classes).tolist(),
        "train_seconds": usage.seconds,
        "train_peak_bytes": usage.peak_bytes,
        "train_peak_gpu_bytes": usage.peak_gpu_bytes,
        "device": device_name(workspace.device),
        "threads": workspace.threads,
        "versions": versions(workspace.device),
        "git_revision": revision,
        "git_dirty": dirty,
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }


def _stages_used(cell: Cell, workspace: Workspace, uses: Mapping[str, StageUse]) -> list[StageUse]:
    return [
        uses[stage.key].model_copy(update=workspace.store.peaks(stage))
        for stage in in_order(cell.stages())
        if stage.key in uses
    ]


def _pseudo_label_quality(selection: Selection, cell: Cell, workspace: Workspace) -> PseudoLabelQuality | None:
    """Of the first pseudo-labels that the method declared; read here, once its coreset is fixed.

    The true labels are those before ``@noise``, which replaces what a network is trained on.
    """
    for stage in selection.all_pseudo_labels()[:1]:
        true_labels = workspace.dataset(cell.dataset.without_noise()).train.labels
        return pseudo_label_quality(run_stage(stage, workspace).arrays["labels"], true_labels)
    return None


def _inputs(cell: Cell, dataset: Dataset, workspace: Workspace) -> tuple[Any, Any]:
    if models.get(cell.model.name).info.inputs == "images" or cell.encoder is None:
        return dataset.train.images, dataset.test.images
    images = cell.dataset.without_noise()
    train, test = (
        run_stage(Embeddings(dataset=images, encoder=cell.encoder, split=split), workspace).arrays["embeddings"]
        for split in ("train", "test")
    )
    return train, test
