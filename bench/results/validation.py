"""What is wrong with rows from outside: each against itself, its file name, its coreset and its scores."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from bench.calls import Call, parse_call
from bench.errors import BenchError, RowError
from bench.recipe import KNOWN_PROTOCOLS
from bench.refs import NO_ENCODER, cell_name
from bench.results.published import coreset_sha256, indices_path, read_indices, read_scores, scores_path
from bench.results.rows import Row, read_row
from bench.selection import budget_for

RETRAINED = "indices"
"""Method of rows trained on a published coreset: their budget is the coreset's size, whatever the rate."""
_SINCE_2 = ("config_sha256", "best_iteration", "test_class_counts")
_REQUIRED = {2: _SINCE_2, 3: (*_SINCE_2, "dataset_version", "model_version")}
_TOLERANCE = 1e-3
"""Percentage points. Accuracies are computed in float32, whose error on 100 is 1e-5."""


def row_files(path: Path) -> list[Path]:
    """The row files that a path names: itself, or all of the run or of the folder of rows that it is.

    Raises:
        RowError: nothing is there, or no row.
    """
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise RowError(f"{path} is neither a file nor a folder. Give DIR/rows/CELL.json, or the --out folder of a run.")
    found = sorted((path / "rows").glob("*.json")) or sorted(path.glob("*.json"))
    if not found:
        raise RowError(f"{path} holds no rows: neither {path / 'rows'} nor the folder itself has a file *.json.")
    return found


def problems_of(path: Path) -> Iterator[str]:
    """Check one row file with the files it names.

    Args:
        path: ``DIR/rows/CELL.json``; the coreset is looked for at ``DIR/indices/CELL.npy``.

    Yields:
        One line per problem, without the path; nothing for a row that is what it says.
    """
    try:
        row = read_row(path)
    except RowError as error:
        yield str(error)
        return
    run = path.absolute().parent.parent
    yield from identity_problems(row, path.stem)
    yield from accuracy_problems(row)
    yield from coreset_problems(row)
    yield from _file_problems(row, run)


def identity_problems(row: Row, stem: str) -> Iterator[str]:
    """Whether the file name, the configuration and the versions are the row's."""
    if row.protocol not in KNOWN_PROTOCOLS:
        yield f"protocol: {row.protocol} is unknown; known: {', '.join(map(str, KNOWN_PROTOCOLS))}"
    if stem != row.cell_id:
        yield f"cell_id: {row.cell_id} is not the name of the file"
    missing = [name for name in _REQUIRED.get(row.schema_version, ()) if not getattr(row, name)]
    if missing:
        yield f"{', '.join(missing)}: missing in a row of version {row.schema_version}"
    *words, tail = row.cell_id.split("-")
    if row.config_sha256 and tail != row.config_sha256[:12]:
        yield f"cell_id: it ends with {tail}, config_sha256 begins with {row.config_sha256[:12]}"
    try:
        expected = _name(row)
    except BenchError as error:
        yield f"cell_id: cannot be compared: {error}"
        return
    if row.method != RETRAINED and "-".join(words) != expected:
        yield f"cell_id: it names {'-'.join(words)}, the row's fields {expected}"


def accuracy_problems(row: Row) -> Iterator[str]:
    """Whether last, best, per-class accuracy and the curve say the same."""
    if not row.curve:
        yield "curve: it is empty"
        return
    iterations = [iteration for iteration, _ in row.curve]
    accuracies = [accuracy for _, accuracy in row.curve]
    if any(after <= before for before, after in zip([0, *iterations], iterations, strict=False)):
        yield "curve: iterations do not ascend from 1"
    if iterations[-1] != row.recipe.iterations:
        yield f"curve: it ends at iteration {iterations[-1]}, the recipe at {row.recipe.iterations}"
    if accuracies[-1] != row.accuracy:
        yield f"accuracy: {row.accuracy} is not the last of the curve, {accuracies[-1]}"
    best = max(accuracies)
    if best != row.best_accuracy:
        yield f"best_accuracy: {row.best_accuracy} is not the best of the curve, {best}"
    first = iterations[accuracies.index(best)]
    if row.best_iteration is not None and row.best_iteration != first:
        yield f"best_iteration: {row.best_iteration} is not where the curve is best first, {first}"
    yield from _per_class_problems(row)


def coreset_problems(row: Row) -> Iterator[str]:
    """Whether rate, pool, budget and class counts agree."""
    if row.budget > row.pool_size:
        yield f"budget: {row.budget} images are more than the pool of {row.pool_size}"
    elif row.method != RETRAINED and row.budget != budget_for(row.pool_size, row.rate):
        expected = budget_for(row.pool_size, row.rate)
        yield f"budget: {row.budget}, but rate {row.rate:g} keeps {expected} of {row.pool_size}"
    if sum(row.class_counts) != row.budget:
        yield f"class_counts: they add up to {sum(row.class_counts)}, the budget is {row.budget}"


def _per_class_problems(row: Row) -> Iterator[str]:
    shares, counts = row.per_class_accuracy, row.test_class_counts
    classes = {len(shares), len(row.class_counts), *([len(counts)] if counts else [])}
    if len(classes) > 1:
        yield "per_class_accuracy, class_counts, test_class_counts: not of the same length"
        return
    known = [share for share in shares if share is not None]
    if not counts:
        # Rows of version 1: a mean lies between the extremes, whatever its weights.
        if not known or not min(known) - _TOLERANCE <= row.accuracy <= max(known) + _TOLERANCE:
            yield f"per_class_accuracy: no class counts make {row.accuracy} of it"
        return
    if any((share is None) != (count == 0) for share, count in zip(shares, counts, strict=True)):
        yield "per_class_accuracy: there must be one for each class with test images, and no other"
        return
    correct = sum(share * count for share, count in zip(shares, counts, strict=True) if share is not None)
    if not sum(counts) or not math.isclose(correct / sum(counts), row.accuracy, abs_tol=_TOLERANCE):
        yield f"per_class_accuracy: with test_class_counts it does not make {row.accuracy}"


def _file_problems(row: Row, run: Path) -> Iterator[str]:
    path = indices_path(run, row.cell_id)
    try:
        _stays_in(path, run)
        indices = read_indices(path)
    except BenchError as error:
        yield f"indices: {error}"
    else:
        if coreset_sha256(indices) != row.indices_sha256:
            yield f"indices: SHA-256 of {path} is {coreset_sha256(indices)}, not {row.indices_sha256}"
        if len(indices) != row.budget:
            yield f"indices: {path} holds {len(indices)} positions, the budget is {row.budget}"
    yield from _scores_problems(row, run)


def _scores_problems(row: Row, run: Path) -> Iterator[str]:
    """Scores may be left out of a publication; those that are there must be the row's."""
    path = scores_path(run, row.scores_sha256)
    if not row.scores_sha256 or not (path.exists() or path.is_symlink()):
        return
    try:
        _stays_in(path, run)
        scores = read_scores(path, sha256=row.scores_sha256)
    except BenchError as error:
        yield f"scores: {error}"
        return
    if scores.shape != (row.pool_size,) or not np.isfinite(scores).all():
        yield f"scores: {path} does not hold one finite number for each of the {row.pool_size} pool images"


def _stays_in(path: Path, run: Path) -> None:
    """A published file may not be a link to one elsewhere: the folder must be whole by itself."""
    if not path.resolve().is_relative_to(run.resolve()):
        raise RowError(f"{path} leads outside {run}, to {path.resolve()}.")


def _name(row: Row) -> str:
    encoder = parse_call(row.encoder).name if row.encoder != NO_ENCODER else "none"
    data = parse_call(row.dataset)
    version = str(Call(data.name, {}, data.modifiers))
    return cell_name(version, row.method, encoder, row.rate, row.seed, parse_call(row.model).name)
