"""Checking the coreset and scores files of a row."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from bench.errors import BenchError, RowError
from bench.results.claims import Unchecked
from bench.results.published import coreset_sha256, indices_path, read_coreset, read_scores, scores_path
from bench.results.rows import Row
from bench.weighted import Kept


def published_coreset(row: Row, run: Path) -> Kept | str:
    """Return the row's coreset, or why it cannot be read."""
    path = indices_path(run, row.cell_id)
    try:
        # Without the hash: a different coreset is reported as such, not as a file that cannot be read.
        stays_in(path, run)
        return read_coreset(path)
    except BenchError as error:
        return str(error)


def indices_problems(row: Row, kept: Kept | str, run: Path) -> Iterator[str]:
    """Yield a problem for each of hash, size and weights in which the coreset differs from the row.

    Args:
        row: the row.
        kept: its ``published_coreset``.
        run: folder with ``rows`` and ``indices``.
    """
    if isinstance(kept, str):
        yield f"indices: {kept}"
        return
    path = indices_path(run, row.cell_id)
    if (digest := coreset_sha256(*kept)) != row.indices_sha256:
        yield f"indices: SHA-256 of {path} is {digest}, not {row.indices_sha256}"
    if len(kept.indices) != row.budget:
        yield f"indices: {path} holds {len(kept.indices)} positions, the budget is {row.budget}"
    if row.weighted != (kept.weights is not None):
        yield f"weighted: {row.weighted}, but {path} holds {'weights' if row.weighted is False else 'no weights'}"


def scores_problems(row: Row, run: Path) -> Iterator[str]:
    """Yield the problems of the row's scores, which may also be left out of a publication."""
    if not row.scores_sha256:
        return
    path = scores_path(run, row.scores_sha256)
    # A broken link does not exist, but is not left out either.
    if not (path.exists() or path.is_symlink()):
        yield Unchecked("scores: the file is left out")
        return
    try:
        stays_in(path, run)
        scores = read_scores(path, sha256=row.scores_sha256)
    except BenchError as error:
        yield f"scores: {error}"
        return
    if scores.shape != (row.pool_size,) or not np.isfinite(scores).all():
        yield f"scores: {path} does not hold one finite number for each of the {row.pool_size} pool images"


def stays_in(path: Path, run: Path) -> None:
    """Refuse a link to a file outside the run: a published folder must be complete.

    Raises:
        RowError: the link leads out of ``run``, or in a circle.
    """
    try:
        target = path.resolve(strict=False)
        inside = target.is_relative_to(run.resolve())
    except (OSError, RuntimeError) as error:  # a circle of links is a RuntimeError before Python 3.13
        raise RowError(f"{path} leads nowhere: {error}.") from error
    if not inside:
        raise RowError(f"{path} leads outside {run}, to {target}.")
