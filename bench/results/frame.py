"""Rows as a pandas DataFrame and back, with the columns of ``bench export``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from bench.errors import RowError
from bench.recipe import Recipe
from bench.results.export import record
from bench.results.rows import Row

if TYPE_CHECKING:
    import pandas as pd

_DERIVED = ("stage_seconds", "stage_peak_bytes")


def to_frame(rows: Iterable[Row]) -> pd.DataFrame:
    """Return a frame with one line per row; lists stay lists, and ``params``, ``chosen`` and ``versions`` are dicts."""
    import pandas as pd

    return pd.DataFrame([record(row) for row in rows])


def from_frame(frame: pd.DataFrame) -> list[Row]:
    """Return the rows of a frame from ``to_frame``, or of some of its lines.

    Raises:
        RowError: a column is missing, or a value does not fit the schema of rows.
    """
    return [_row(line) for line in frame.to_dict("records")]


def plain(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the lines of a frame as plain values for CSV and JSON, with None for missing ones."""
    # Converted to objects first: a column of numbers cannot hold None.
    return frame.astype(object).where(frame.notna(), None).to_dict("records")


def named(frame: pd.DataFrame) -> Iterator[Any]:
    """Yield the lines of a frame as named tuples, whose fields are the columns."""
    return frame.itertuples()


def _row(line: dict[Any, Any]) -> Row:
    """Return the row of one line; pandas turns every None in a column of numbers into NaN."""
    known: dict[str, Any] = {str(name): None if _is_nan(value) else value for name, value in line.items()}
    try:
        recipe = {name: known.pop(f"recipe_{name}") for name in Recipe.model_fields}
        curve = list(zip(known.pop("curve_iterations"), known.pop("curve_accuracies"), strict=True))
    except KeyError as error:
        raise RowError(f"the frame has no column {error}; make it with bench.load_rows(FOLDER).") from error
    # Derived values are derived again, so that an edited frame cannot disagree with itself.
    fields = {name: value for name, value in known.items() if name not in _DERIVED}
    try:
        return Row.model_validate({**fields, "recipe": recipe, "curve": curve})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise RowError(f"the frame's column {where!r} is not a row's: {first['msg']}.") from error


def _is_nan(value: object) -> bool:
    # Not ``pandas.isna``, which returns an answer for every element of a list.
    return isinstance(value, float) and value != value
