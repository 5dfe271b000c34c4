"""Which cells of a grid have a row that still counts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from bench.errors import RowError
from bench.plain_files import read_regular
from bench.recipe import Recipe
from bench.results.compatibility import conflict, rate_of
from bench.results.rows import MOST_BYTES, Row, read_row
from bench.stages.published import PublishedCell
from bench.stages.selection import Selection
from bench.stages.training import Cell

_FOUND_ON_DISK = ("pool_size", "fingerprint", "encoder_weights")


def finished_row(out: Path, cell: Cell) -> Row | None:
    """Return the cell's row, if it is there, whole, and made by the present version of the method.

    Raises:
        RowError: the row is whole but not valid, for example of a later version of the harness.
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
    """Do as ``finished_row``; a row that is not valid counts as none."""
    with suppress(RowError):
        return finished_row(out, cell)
    return None


def selected_otherwise(row: Row, cell: Cell) -> bool:
    """Say whether the row's coreset was selected by other code of the method or of a stage than the present."""
    keys = [use.key for use in row.stages if use.kind == Selection.kind]
    # Rows of before stages were named have no keys, of which nothing can be said.
    return bool(keys) and cell.selection().key not in keys


def row_that_cannot_join(out: Path, cells: Sequence[Cell]) -> str | None:
    """Say what a table would refuse once the cells had rows: one in ``out`` of another recipe, data, weights or proxy.

    Args:
        out: the result folder.
        cells: that are to have rows there.

    Returns:
        The row's id, the fields that differ, and what to do, in words; None where all could stand in one table.
    """
    planned = {cell.cell_id for cell in cells}
    # By their text, since the fields hold dicts, which cannot be hashed; most cells of a grid share one.
    known = {repr(fields): fields for fields in map(_known_fields, cells)}.values()
    lines = {_line(cell.table_fields(), cell) for cell in cells if isinstance(cell, PublishedCell)}
    for path in sorted((out / "rows").glob("*.json")):
        if path.stem in planned:
            continue
        with suppress(RowError):
            row = read_row(path)
            if _line(dict(row), row) in lines:
                return f"{row.cell_id} (another coreset of the same name); give another --out, or rename the file"
            for there in known:
                if fields := conflict(row, there):
                    return f"{row.cell_id} ({fields}); give another --out{_or_its_precision(row, there['recipe'])}"
    return None


def _line(fields: Mapping[str, Any], of: Row | Cell) -> tuple[Any, ...]:
    """Return what two trainings may not have in common in one table."""
    return (*(fields[name] for name in ("dataset", "model", "encoder")), of.variant, rate_of(of), of.seed)


def _or_its_precision(row: Row, recipe: Recipe) -> str:
    """Offer a way to join the row where ``auto`` meant another precision, as on a CPU of another kind."""
    same = row.recipe.model_copy(update={"precision": recipe.precision}) == recipe
    precision = row.recipe.precision
    return f", or --recipe precision={precision}" if same and precision not in ("auto", recipe.precision) else ""


def _known_fields(cell: Cell) -> dict[str, Any]:
    """Return ``Cell.table_fields`` without what a dry run could not find: size and content of missing data, weights."""
    fields = cell.table_fields()
    return {name: value for name, value in fields.items() if value or name not in _FOUND_ON_DISK}


def set_aside(out: Path, cells: Iterable[Cell]) -> list[Path]:
    """Move what is no JSON in the place of these cells' rows, such as one that a power cut left incomplete, to
    ``damaged/``, so that the cells run again.

    Returns:
        Where the rows are now.
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
    """Say whether a JSON file is cut: neither the first part of an object nor the zeros of a lost block are JSON."""
    try:
        json.loads(read_regular(path, at_most=MOST_BYTES))
    except ValueError:
        return True
    except (OSError, RecursionError):
        return False  # ``read_row`` says what is wrong
    return False


def _row_path(cell: Cell, out: Path) -> Path:
    return out / "rows" / f"{cell.cell_id}.json"
