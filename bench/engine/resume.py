"""Finding the cells of a grid that already have a valid row."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from bench.errors import RowError
from bench.plain_files import read_regular
from bench.recipe import Recipe
from bench.results.compatibility import conflict, exact_rate
from bench.results.rows import MOST_BYTES, Row, read_row
from bench.stages.published import PublishedCell
from bench.stages.selection import Selection
from bench.stages.training import Cell

_FOUND_ON_DISK = ("pool_size", "fingerprint", "encoder_weights")


def finished_row(out: Path, cell: Cell) -> Row | None:
    """Return the cell's row if it is complete and made by the present version of the method, and None otherwise.

    Raises:
        RowError: the row is complete but not valid, for example from a later version of the harness.
    """
    path = _row_path(cell, out)
    if not path.exists() or is_cut(path):
        return None
    try:
        row = read_row(path)
    except RowError as error:
        raise RowError(f"{error} Delete it, and the cell is run again.") from error
    return row if row.cell_id == cell.cell_id and cell.made(row) else None


def valid_row(out: Path, cell: Cell) -> Row | None:
    """Return the row as ``finished_row`` does, but None for a row that is not valid."""
    with suppress(RowError):
        return finished_row(out, cell)
    return None


def selected_otherwise(row: Row, cell: Cell) -> bool:
    """Return whether the row's coreset was selected by other code of the method, or of a stage, than the present."""
    keys = [use.key for use in row.stages if use.kind == Selection.kind]
    # Old rows have no keys of stages, so that nothing is known.
    return bool(keys) and cell.selection().key not in keys


def row_that_cannot_join(out: Path, cells: Sequence[Cell]) -> str | None:
    """Return a row in ``out`` that cannot share a table with the cells: of another recipe, data, weights or proxy.

    Args:
        out: the result folder.
        cells: cells that will have rows there.

    Returns:
        The row's id, the fields that differ, and what to do, as text; None if all rows can share a table.
    """
    planned = {cell.cell_id for cell in cells}
    # By their text, since the fields hold dicts, which cannot be hashed; most cells of a grid have the same.
    known = {repr(fields): fields for fields in map(_known_fields, cells)}.values()
    lines = {_line(cell.table_fields(), cell) for cell in cells if isinstance(cell, PublishedCell)}
    for path in sorted((out / "rows").glob("*.json")):
        if path.stem in planned:
            continue
        with suppress(RowError):
            row = read_row(path)
            for expected in known:
                if fields := conflict(row, expected):
                    return f"{row.cell_id} ({fields}); give another --out{_or_its_precision(row, expected['recipe'])}"
            if _line(dict(row), row) in lines:
                return f"{row.cell_id} (another coreset of the same name); give another --out, or rename the file"
    return None


def _line(fields: Mapping[str, Any], training: Row | Cell) -> tuple[Any, ...]:
    """Return the fields that must differ between two trainings in one table."""
    names = ("dataset", "model", "encoder")
    return (*(fields[name] for name in names), training.variant, exact_rate(training), training.seed)


def _or_its_precision(row: Row, recipe: Recipe) -> str:
    """Return advice to take the row's precision, if ``auto`` meant another one, as on another kind of CPU."""
    same = row.recipe.model_copy(update={"precision": recipe.precision}) == recipe
    precision = row.recipe.precision
    return f", or --recipe precision={precision}" if same and precision not in ("auto", recipe.precision) else ""


def _known_fields(cell: Cell) -> dict[str, Any]:
    """Return ``Cell.table_fields`` without those that a dry run could not find for missing data and weights."""
    fields = cell.table_fields()
    return {name: value for name, value in fields.items() if value or name not in _FOUND_ON_DISK}


def set_aside(out: Path, cells: Iterable[Cell]) -> list[Path]:
    """Move rows of these cells that are not JSON to ``damaged/``, so that the cells run again.

    A power cut can leave such an incomplete file.

    Returns:
        The new paths of the rows.
    """
    moved = []
    for cell in cells:
        path = _row_path(cell, out)
        if path.exists() and is_cut(path):
            target = out / "damaged" / path.name
            target.parent.mkdir(exist_ok=True)
            moved.append(path.replace(target))
    return moved


def is_cut(path: Path) -> bool:
    """Return whether a JSON file is incomplete: neither part of an object nor the zeros of a lost block are JSON."""
    try:
        json.loads(read_regular(path, at_most=MOST_BYTES))
    except ValueError:
        return True
    except (OSError, RecursionError):
        return False  # ``read_row`` reports the problem
    return False


def _row_path(cell: Cell, out: Path) -> Path:
    return out / "rows" / f"{cell.cell_id}.json"
