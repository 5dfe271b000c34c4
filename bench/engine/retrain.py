"""Training on a published coreset without selecting again: of a row, to reproduce it, or of any file of positions."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.calls import Call, parse_call
from bench.engine.plan import make_plan, precisions_on
from bench.errors import DataError, SpecError
from bench.grid.spec import GridSpec, load_spec
from bench.plugins import Supervision
from bench.refs import NO_ENCODER
from bench.results.published import coreset_sha256, indices_path, pool_positions, read_indices, write_indices
from bench.results.rows import Row
from bench.selection import rate_of
from bench.stages.session import Session
from bench.stages.training import Cell, measure
from bench.underway import Progress

METHOD = "indices"
"""Method name of rows that were trained on a published coreset."""


class Retraining(NamedTuple):
    """A published coreset and all that training on it needs.

    Attributes:
        cell: data set, encoder, model, recipe and seed; says nothing of the selection.
        indices: int64 [n], sorted positions in the full training split.
        weights: encoder label -> weights file.
        origin: the row whose coreset it is, or None.
        source: what the row is called by: the original's variant, or the file's name.
        supervision: what selected the coreset may have seen.
    """

    cell: Cell
    indices: NDArray[np.int64]
    weights: Mapping[str, Path]
    origin: Row | None
    source: str
    supervision: Supervision


def from_row(
    row: Row,
    indices: Path,
    *,
    device: str,
    data_root: Path | None = None,
    download: bool = False,
    encoder: str | None = None,
    model: str | None = None,
) -> Retraining:
    """Prepare the training of a row's final model, or of another one, on its published coreset.

    Args:
        row: names data set, pool, model, recipe, seed and the coreset's SHA-256.
        indices: the coreset's file.
        device: what will train, ``cpu`` or ``cuda``.
        data_root: folder of the data sets.
        download: whether missing data and weights may be fetched.
        encoder: call that says where the encoder's weights are, for models that read embeddings.
        model: trained by the row's recipe in place of the row's model.

    Raises:
        DataError: the file is not the row's coreset, or the data set's content is not the row's.
        SpecError: the encoder or its weights are not the row's, or the device lacks the row's precision.
    """
    positions = read_indices(indices, sha256=row.indices_sha256)
    dataset = parse_call(row.dataset)
    pool_size, pool_seed = dataset.params.pop("pool_size", None), dataset.params.pop("pool_seed", 0)
    named = encoder or (row.encoder if row.encoder != NO_ENCODER else None)
    spec = load_spec(
        given={
            "datasets": [dataset],
            "models": [model or row.model],
            "encoders": [named] if named else None,
            "seeds": [row.seed],
            "pool_size": pool_size,
            "pool_seed": pool_seed,
            "recipe": row.recipe.model_dump(exclude={"scale", "precision"}),
        }
    )
    row.recipe.at_precision(precisions_on(device))  # raises where the device lacks it
    cell, weights = _carrier(spec, data_root, download, device)
    cell = cell.model_copy(update={"recipe": row.recipe})  # a grid cannot ask for a recipe that is already scaled
    _same_data(cell, row.fingerprint)
    known = row.encoder != NO_ENCODER
    if (
        known
        and cell.encoder
        and (cell.encoder.label, cell.encoder.weights_sha256) != (row.encoder, row.encoder_weights)
    ):
        raise SpecError(
            f"the row names the encoder {row.encoder} (weights {row.encoder_weights[:12] or 'none'}), but the model "
            f"would read embeddings of {cell.encoder.label} (weights {cell.encoder.weights_sha256[:12] or 'none'})."
        )
    return Retraining(cell, positions, weights, row, row.variant, row.supervision)


def from_file(
    indices: Path,
    given: Mapping[str, Any],
    *,
    device: str,
    supervision: Supervision = "labels",
    sha256: str = "",
    fingerprint: str = "",
    data_root: Path | None = None,
    download: bool = False,
) -> Retraining:
    """Prepare the training on any file of positions in the full training split.

    Args:
        indices: ``.npy`` of whole numbers in any order.
        given: fields of ``GridSpec`` without methods and rates: one data set, seed and at most one model and encoder.
        device: what will train, ``cpu`` or ``cuda``; it decides what precision ``auto`` means.
        supervision: what the selection saw; what is not known counts as ``labels``, so that nothing is called free of
            labels by mistake.
        sha256: see ``read_indices``.
        fingerprint: of the data set's content; empty where it is not known.
        data_root: folder of the data sets.
        download: whether missing data and weights may be fetched.

    Raises:
        DataError: the file is no coreset, has another hash, or the data set's content is another.
        SpecError: a name or value is not valid, or names several of one kind.
    """
    positions = read_indices(indices, sha256=sha256)
    spec = load_spec(given=given)
    for name in ("datasets", "models", "encoders", "seeds"):
        if len(getattr(spec, name)) > 1:
            raise SpecError(f"{name}: training on a file of indices takes one, got {len(getattr(spec, name))}.")
    cell, weights = _carrier(spec, data_root, download, device)
    _same_data(cell, fingerprint)
    return Retraining(cell, positions, weights, None, indices.stem, supervision)


def train_published(job: Retraining, workspace: Session, progress: Progress | None = None) -> Row:
    """Train on the published coreset, score the test split, and publish it again beside a row of method ``indices``.

    The row's variant says what the coreset came from, for example ``indices(of=elfs)``; its encoder and proxy are
    those of the row that is reproduced, since the coreset rests on them.

    Args:
        job: from ``from_row`` or ``from_file``.
        workspace: where; its ``out`` receives the indices. The row itself is not written.
        progress: called with (steps done, steps in all).

    Returns:
        A row; on the device, threads and package versions of ``job.origin``, its accuracies are the origin's, unless
        another model is trained.

    Raises:
        DataError: a position is outside the pool.
        TrainingError: training cannot go on.
    """
    from bench.training.precision import prepare_torch

    prepare_torch(workspace.threads)
    dataset = workspace.dataset(job.cell.dataset)
    inside = pool_positions(job.indices, dataset)
    rate = job.origin.rate if job.origin else rate_of(len(inside), len(dataset.train))
    params = {"of": job.source}
    update = {
        "method": METHOD,
        "variant": str(Call(METHOD, params)),
        # Part of the identity alone: seeds of one line of a table have different coresets.
        "params": {**params, "sha256": coreset_sha256(job.indices)},
        "rate": rate,
        "budget": len(inside),
    }
    cell = job.cell.model_copy(update=update)
    # Of a file only the model's own encoder is known.
    rests_on = _provenance(job.origin, cell) if job.origin else {}
    return Row(
        cell_id=cell.cell_id,
        config_sha256=cell.digest(),
        **{**cell.place(), **rests_on},
        method=METHOD,
        variant=cell.variant,
        params=params,
        supervision=job.supervision,
        rate=rate,
        budget=cell.budget,
        seed=cell.seed,
        indices_sha256=write_indices(job.indices, workspace.out, cell.cell_id),
        stages=[],
        select_seconds=0.0,
        **measure(cell, inside, dataset, workspace, progress),
    )


def published_beside(row_file: Path, row: Row) -> Path:
    """Where a run that wrote ``DIR/rows/CELL.json`` published the coreset.

    Raises:
        DataError: it is not there.
    """
    path = indices_path(row_file.resolve().parents[1], row.cell_id)
    if not path.exists():
        raise DataError(f"the coreset of {row_file} is not at {path}; give it with --indices.")
    return path


def differences(row: Row, origin: Row) -> list[str]:
    """What may explain that a row is not reproduced, of what the origin recorded: device, threads, packages."""
    found = [] if _same_device(row.device, origin.device) else [f"device: {origin.device} and now {row.device}"]
    if row.threads != origin.threads:
        found.append(f"threads: {origin.threads} and now {row.threads}")
    for name, version in sorted(origin.versions.items()):
        if row.versions.get(name) != version:
            found.append(f"{name}: {version} and now {row.versions.get(name, 'none')}")
    return found


def _same_device(now: str, then: str) -> bool:
    """Rows of schema versions 1 and 2 do not name the processor's instructions: ``cpu (AMD EPYC)``."""
    return now == then or (then.endswith(")") and now.startswith(f"{then[:-1]}, "))


def _carrier(spec: GridSpec, root: Path | None, download: bool, device: str) -> tuple[Cell, Mapping[str, Path]]:
    """The cell of the unpruned pool: everything but the selection, checked as a run checks it."""
    bare = spec.model_copy(update={"methods": (Call("full", {}),), "rates": (0.0,), "proxy_model": None})
    plan = make_plan(bare, out=None, data_root=root, download=download, device=device)
    return plan.cells[0], plan.weights


def _same_data(cell: Cell, fingerprint: str) -> None:
    if fingerprint and cell.dataset.fingerprint != fingerprint:
        raise DataError(
            f"dataset {cell.dataset.label} is not the one that the coreset was selected from: fingerprint "
            f"{cell.dataset.fingerprint}, not {fingerprint}."
        )


def _provenance(origin: Row, cell: Cell) -> dict[str, Any]:
    """The code, encoder and proxy that a row's coreset rests on; an encoder that the model reads is named instead."""
    names = ["selection_code", "proxy_model", "proxy_version", "proxy_recipe"]
    if cell.encoder is None:
        names += ["encoder", "encoder_version", "encoder_supervision", "encoder_weights"]
    return {name: getattr(origin, name) for name in names}
