"""Training a row again on its published coreset: its grid, the fields that a grid cannot set, and the comparison."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.engine.plan import Plan, precisions_on
from bench.errors import DataError, SpecError
from bench.grammar import Call, parse_call
from bench.grid.spec import GridSpec, load_spec
from bench.identity import INDICES, NO_ENCODER
from bench.results.published import indices_path
from bench.results.rows import Row
from bench.results.stats import TIE
from bench.stages.published import PublishedCell


def grid_of(row: Row, indices: Path, *, encoder: str | None = None, models: str | None = None) -> GridSpec:
    """Return the grid that trains on a row's coreset.

    Args:
        row: names data set, pool, model, recipe, seed and the coreset's SHA-256.
        indices: file of the coreset.
        encoder: call of the encoder, which can name its weights file, for models that read embeddings.
        models: models to train by the row's recipe instead of the row's model.
    """
    dataset = parse_call(row.dataset)
    pool_size, pool_seed = dataset.params.pop("pool_size", None), dataset.params.pop("pool_seed", 0)
    return load_spec(
        given={
            "methods": [Call(INDICES, {"of": str(indices), "sha256": row.indices_sha256})],
            "datasets": [dataset],
            "models": models or [row.model],
            "encoders": [encoder or row.encoder] if encoder or row.encoder != NO_ENCODER else None,
            "seeds": [row.seed],
            "pool_size": pool_size,
            "pool_seed": pool_seed,
            # Both are restored by ``_as_row``: a grid refuses a scaled recipe, and takes the precision of the device.
            "recipe": row.recipe.model_dump(exclude={"scale", "precision"}),
        }
    )


def as_row(plan: Plan, row: Row) -> Plan:
    """Return the plan of ``grid_of`` with the row's name, recipe, supervision and provenance, which a grid cannot set.

    Raises:
        DataError: the data set's content is not the row's.
        SpecError: the encoder or its weights are not the row's, or the device lacks the row's precision.
    """
    row.recipe.at_precision(precisions_on(plan.device))
    same_data(plan, row.fingerprint)
    return replace(plan, cells=[_as_row(cell, row) for cell in plan.cells if isinstance(cell, PublishedCell)])


def same_data(plan: Plan, fingerprint: str) -> Plan:
    """Return the plan, or refuse it if its data set has another content.

    Args:
        plan: a plan with one data set.
        fingerprint: fingerprint of the data set that the coreset was selected from; empty if it is not known.

    Raises:
        DataError: the data set has another fingerprint.
    """
    for cell in plan.cells:
        if fingerprint and cell.dataset.fingerprint != fingerprint:
            raise DataError(
                f"dataset {cell.dataset.label} is not the one that the coreset was selected from: fingerprint "
                f"{cell.dataset.fingerprint}, not {fingerprint}."
            )
    return plan


def published_beside(row_file: Path, row: Row) -> Path:
    """Return the coreset's file, which the run that wrote ``DIR/rows/CELL.json`` published.

    Raises:
        DataError: the file is missing.
    """
    path = indices_path(row_file.resolve().parents[1], row.cell_id)
    if not path.exists():
        raise DataError(f"the coreset of {row_file} is not at {path}; give it with --indices.")
    return path


def is_reproduced(row: Row, origin: Row) -> bool:
    """Return whether accuracies and learning curve are the origin's, apart from the rounding of another summation."""
    steps, accuracies = zip(*_results(row), strict=True)
    their_steps, theirs = zip(*_results(origin), strict=True)
    # The steps exactly: a curve with other steps is another training, whatever its accuracy.
    return steps == their_steps and all(
        math.isclose(ours, other, abs_tol=TIE) for ours, other in zip(accuracies, theirs, strict=True)
    )


def _results(row: Row) -> list[tuple[int, float]]:
    flipped = [] if row.flipped_accuracy is None else [(0, row.flipped_accuracy)]
    return [*row.curve, (0, row.accuracy), *flipped]


def differences(row: Row, origin: Row) -> list[str]:
    """Return the recorded differences that may explain why a row is not reproduced: device, threads and packages."""
    then = origin.device
    if origin.recipe.precision == "bf16" and then.endswith("AVX512)"):
        then = f"{then[:-1]}, AMX)"  # earlier rows do not name AMX, without which ``auto`` takes fp32
    differing = [] if _same_device(row.device, then) else [f"device: {then} and now {row.device}"]
    if row.threads != origin.threads:
        differing.append(f"threads: {origin.threads} and now {row.threads}")
    for name, version in sorted(origin.versions.items()):
        if row.versions.get(name) != version:
            differing.append(f"{name}: {version} and now {row.versions.get(name, 'none')}")
    return differing


def _same_device(now: str, then: str) -> bool:
    """Return whether two devices are the same; earlier rows lack AMX, or all of the processor's instructions."""
    return now == then or (then.endswith(")") and now.startswith(f"{then[:-1]}, "))


def _as_row(cell: PublishedCell, row: Row) -> PublishedCell:
    ours = (cell.encoder.label, cell.encoder.weights_sha256) if cell.encoder else None
    if ours and row.encoder != NO_ENCODER and ours != (row.encoder, row.encoder_weights):
        raise SpecError(
            f"the row names the encoder {row.encoder} (weights {row.encoder_weights[:12] or 'none'}), but the model "
            f"would read embeddings of {ours[0]} (weights {ours[1][:12] or 'none'})."
        )
    names = ["proxy_model", "proxy_version", "proxy_recipe"]
    if cell.encoder is None:  # otherwise the cell names the encoder that its model reads
        names += ["encoder", "encoder_version", "encoder_supervision", "encoder_weights"]
    # A row of a file's coreset keeps the file's name.
    of = row.params["of"] if row.method == INDICES else row.variant
    update: dict[str, Any] = {
        "variant": str(Call(INDICES, {"of": of})),
        "params": {**cell.params, "of": of},
        "recipe": row.recipe,  # a grid cannot set a scaled one
        "rate": row.rate,
        "supervision": row.supervision,
        "rests_on": {name: getattr(row, name) for name in names},
        "selection_code": row.selection_code,
    }
    return cell.model_copy(update=update)
