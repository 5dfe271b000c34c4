"""Rows as flat records, and those as Parquet or CSV for other programs."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.errors import RowError
from bench.results.rendering import to_csv
from bench.results.rows import Row
from bench.store.files import write_atomically

if TYPE_CHECKING:
    import pyarrow as pa

_MAPPINGS = ("params", "chosen", "judged", "versions")
"""Mappings whose keys differ between rows: one JSON text each, since a table has the same columns for all rows."""


def flat(row: Row) -> dict[str, Any]:
    """Return ``record`` with ``params``, ``chosen``, ``judged`` and ``versions`` as JSON text."""
    return {name: _json(value) if name in _MAPPINGS else value for name, value in record(row).items()}


def record(row: Row) -> dict[str, Any]:
    """One record: the row's fields under their names, ``recipe_*`` for those of the recipe.

    Returns:
        ``curve`` as two lists, ``curve_iterations`` and ``curve_accuracies``; ``stages`` as a list of records; beside
        them ``stage_seconds``, the sum over the stages that the row rests on, whoever computed them, and
        ``stage_peak_bytes``, their highest. Mappings are sorted, so that equal ones are written alike.
    """
    # In one place, whatever the row holds: records are written by position, and a row without weights leaves it out.
    content = row.model_dump(mode="json", exclude={"recipe", "weighted"})
    curve, stages = content.pop("curve"), content.pop("stages")
    # All fields, those too that a recipe leaves out at their defaults: a column is there whatever the rows hold.
    content["proxy_recipe"] = dict(row.proxy_recipe) if row.proxy_recipe else None
    # Stages follow each other, so what a row needed at most is the highest and not the sum.
    peaks = [use["peak_bytes"] for use in stages if use["peak_bytes"] is not None]
    return {
        **content,
        "weighted": row.weighted,
        **{name: dict(sorted(content[name].items())) for name in _MAPPINGS},
        **{f"recipe_{name}": value for name, value in row.recipe},
        "curve_iterations": [iteration for iteration, _ in curve],
        "curve_accuracies": [accuracy for _, accuracy in curve],
        "stages": stages,
        "stage_seconds": sum(use["seconds"] for use in stages),
        "stage_peak_bytes": max(peaks, default=None),
    }


def write_parquet(rows: Sequence[Row], path: Path) -> None:
    """Write one line per row; lists stay lists, and a column has the same type whatever the rows hold.

    Raises:
        RowError: a number that Parquet's 64 bits cannot hold.
        OSError: the file cannot be written.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pa.Table.from_pylist([flat(row) for row in rows], schema=_arrow_schema())
    except (pa.ArrowException, OverflowError) as error:
        raise RowError(f"a number in the rows is too large for Parquet ({error}); use --format csv.") from error
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    write_atomically(path, buffer.getvalue())


def write_csv(rows: Sequence[Row], path: Path) -> None:
    """Write one line per row; lists become JSON text.

    Raises:
        OSError: the file cannot be written.
    """
    records = [{name: _csv(value) for name, value in flat(row).items()} for row in rows]
    write_atomically(path, to_csv(records).encode("utf-8"))


def columns(rows: Iterable[Row]) -> tuple[list[str], list[list[Any]]]:
    """Names and lines of the scalar columns, for programs whose tables hold no lists."""
    records = [{name: value for name, value in flat(row).items() if not isinstance(value, list)} for row in rows]
    names = list(records[0]) if records else []
    return names, [list(record.values()) for record in records]


def _arrow_schema() -> pa.Schema:
    """Return the columns of ``flat``, with types from the row's JSON schema."""
    import pyarrow as pa

    schema = Row.model_json_schema(mode="serialization")
    defs = schema["$defs"]

    def kind(of: dict[str, Any]) -> pa.DataType:
        if "$ref" in of:
            return kind(defs[of["$ref"].rpartition("/")[2]])
        if "anyOf" in of:
            return kind(next(item for item in of["anyOf"] if item.get("type") != "null"))
        if of["type"] == "array":
            return pa.list_(kind(of["items"]))
        if of["type"] == "object" and "properties" in of:
            return pa.struct([(name, kind(item)) for name, item in of["properties"].items()])
        # From the schema and not from the values: of a column that is empty in all rows Arrow would know no type.
        scalars = {"integer": pa.int64(), "number": pa.float64(), "boolean": pa.bool_()}
        return scalars.get(of["type"], pa.string())

    fields = {name: item for name, item in schema["properties"].items() if name not in ("recipe", "curve")}
    recipe = {f"recipe_{name}": item for name, item in defs["Recipe"]["properties"].items()}
    return pa.schema(
        [
            *((name, kind(item)) for name, item in (fields | recipe).items()),
            ("curve_iterations", pa.list_(pa.int64())),
            ("curve_accuracies", pa.list_(pa.float64())),
            ("stage_seconds", pa.float64()),
            ("stage_peak_bytes", pa.int64()),
        ]
    )


def _csv(value: Any) -> Any:
    # All digits: ``to_csv`` rounds floats for readers, and an export is for programs.
    return repr(value) if isinstance(value, float) else _json(value) if isinstance(value, list) else value


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
