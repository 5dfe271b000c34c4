"""Checking rows from elsewhere: against themselves, their files, the installed plugins and the local data."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bench.errors import RowError
from bench.results.claims.configuration import configuration_problems
from bench.results.claims.files import indices_problems, published_coreset, scores_problems, stays_in
from bench.results.claims.installed import plugin_problems
from bench.results.claims.itself import (
    accuracy_problems,
    coreset_problems,
    identity_problems,
    judged_problems,
    origin_problems,
    pool_problems,
    spelling_problems,
    variant_problems,
)
from bench.results.claims.labels import DataAtHand, label_problems
from bench.results.rows import read_row, runs_in


def row_files(path: Path) -> list[Path]:
    """Return the row files that a path names: a file itself, or all rows of a run or of a folder of rows.

    Raises:
        RowError: the path does not exist, or has no row.
    """
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise RowError(f"{path} is neither a file nor a folder. Give DIR/rows/CELL.json, or the --out folder of a run.")
    paths = sorted((path / "rows").glob("*.json")) or sorted(path.glob("*.json"))
    if not paths:
        inside = " ".join(map(str, runs_in(path)))
        raise RowError(
            f"{path} holds no rows itself; give the runs in it: {inside}"
            if inside
            else f"{path} holds no rows: neither {path / 'rows'} nor the folder itself has a file *.json."
        )
    return paths


def findings_of(path: Path, data: DataAtHand | None = None) -> Iterator[str]:
    """Yield the problems of one row file and of the files it names.

    Args:
        path: ``DIR/rows/CELL.json``; the coreset is expected at ``DIR/indices/CELL.npy``.
        data: data sets on this machine, remembered between rows; by default those that need no folder.

    Yields:
        One line per problem, without the path, and an ``Unchecked`` for each claim that could not be checked; nothing
        for a sound row.
    """
    run = path.absolute().parent.parent
    try:
        # Before it is read: a link may lead to one of the reader's own files.
        stays_in(path, run)
        row = read_row(path)
    except RowError as error:
        yield str(error)
        return
    misspelled = list(spelling_problems(row))
    yield from misspelled
    yield from accuracy_problems(row)
    yield from coreset_problems(row)
    yield from judged_problems(row)
    yield from origin_problems(row)
    kept = published_coreset(row, run)
    yield from indices_problems(row, kept, run)
    yield from scores_problems(row, run)
    if misspelled:
        return  # the following checks need the names
    yield from identity_problems(row, path.stem)
    yield from variant_problems(row)
    yield from pool_problems(row)
    yield from configuration_problems(row)
    yield from plugin_problems(row)
    yield from label_problems(row, None if isinstance(kept, str) else kept.indices, data or DataAtHand())
